// SEARCH (RFC 9051 s6.4.4; RFC 4731, RFC 5182, RFC 7162): messages are held against the program by what costs least,
// and only those that it leaves open are read.
#include <algorithm>

#include "base/turn.h"
#include "imap/client.h"
#include "imap/searching.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kSearchedAtOnce = 200;  // messages whose records and structures are in memory at the same time
constexpr std::size_t kBeforeTurn = 1000;     // messages of the list that are looked at without a look at the clock

std::string quoted(std::string_view tag) {
    std::string out = "\"";
    for (char c : tag) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out += '"';
}

}  // namespace

std::optional<Client::SearchReturn> Client::parse_return(Cursor& in) {
    SearchReturn wanted;
    if (!in.take_word("RETURN (")) return wanted;
    wanted.extended = true;
    for (bool first = true; !in.take(')'); first = false) {
        if (!first && !in.space()) return std::nullopt;
        const auto word = parse_keyword(in);
        if (!word) return std::nullopt;
        if (*word == "MIN")
            wanted.min = true;
        else if (*word == "MAX")
            wanted.max = true;
        else if (*word == "ALL")
            wanted.all = true;
        else if (*word == "COUNT")
            wanted.count = true;
        else if (*word == "SAVE")
            wanted.save = true;
        else
            return std::nullopt;
    }
    if (!in.space()) return std::nullopt;
    return wanted;
}

Task<Result<>> Client::search(Cursor in) {
    const auto wanted = parse_return(in);
    if (!wanted) co_return co_await bad_arguments();
    auto program = parse_search(in, SearchLimits());
    if (!program) {
        // RFC 5182 s2.1: a search that fails saves that nothing was found.
        if (wanted->save && program.error().why != SearchRefusal::Why::bad) selected_->saved = {};
        co_return co_await refuse_search(std::move(program.error()));
    }
    if (!in.at_end()) co_return co_await bad_arguments();
    Searching searching;
    searching.program = std::move(*program);
    if (auto went = co_await find_messages(searching); !went) co_return went;
    if (wanted->save) save_result(searching, *wanted);
    if (searching.unread) co_return co_await no("[SERVERBUG] not all messages could be read");
    say_found(searching, *wanted);
    co_return co_await ok("done");
}

Task<Result<>> Client::refuse_search(SearchRefusal why) {
    switch (why.why) {
        case SearchRefusal::Why::charset: return no(fmt::format("[BADCHARSET ({})] {}", kSearchCharsets, why.text));
        case SearchRefusal::Why::limit: return no(fmt::format("[LIMIT] {}", why.text));
        case SearchRefusal::Why::bad: break;
    }
    return bad(std::move(why.text));
}

SearchFacts Client::facts_of(std::uint32_t index, Timestamp now) const {
    const auto& message = selected_->list().messages[index];
    SearchFacts facts;
    facts.number = index + 1;
    facts.uid = message.uid;
    facts.flags = static_cast<std::uint8_t>(message.flags & 0xff);
    facts.keywords = &selected_->keywords_of(message);
    facts.mod_sequence = message.changed.value;
    facts.saved_result = &selected_->saved;
    facts.now = now;
    return facts;
}

Task<Result<>> Client::find_messages(Searching& searching) {
    resolve(searching.program, selected_->count(), selected_->greatest_uid());
    if (searching.program.asks_mod_sequence) condstore_ = true;
    searching.now = access_->visit.now();
    std::vector<std::uint32_t> open;
    for (std::uint32_t index = 0; index < selected_->count(); ++index) {
        const auto answer = match(searching.program, facts_of(index, searching.now));
        if (answer.is == SearchAnswer::Is::yes) searching.found.push_back(index);
        if (answer.is == SearchAnswer::Is::unknown) open.push_back(index);
        if (index % kBeforeTurn == 0 && turn::over()) co_await turn::let_others();
    }
    for (std::span<const std::uint32_t> left(open); !left.empty();) {
        const auto some = left.first(std::min(left.size(), kSearchedAtOnce));
        left = left.subspan(some.size());
        if (auto went = co_await examine_some(searching, some); !went) co_return went;
    }
    if (!open.empty()) std::ranges::sort(searching.found);
    co_return Result<>();
}

// Messages that others have removed meanwhile are not found.
Task<Result<>> Client::examine_some(Searching& searching, std::span<const std::uint32_t> indexes) {
    auto messages = co_await read_messages(indexes);
    if (!messages) {
        log_failure(messages.error(), "the messages can't be read");
        searching.unread = true;
        co_return Result<>();
    }
    std::vector<mailstore::StoredMessage> open;
    std::vector<std::uint32_t> places;
    for (const auto& message : *messages) {
        const auto index = selected_->find(static_cast<std::uint32_t>(message.uid().value));
        if (!index) continue;
        const auto email_id = fmt::format("E{}", message.lasting_id().value);
        auto facts = facts_of(*index, searching.now);
        facts.record = SearchFacts::Record{
            .received = message.received, .octets = message.octets, .saved = {}, .email_id = email_id};
        const auto answer = match(searching.program, facts);
        if (answer.is == SearchAnswer::Is::yes) searching.found.push_back(*index);
        if (answer.is != SearchAnswer::Is::unknown) continue;
        open.push_back(message);
        places.push_back(*index);
    }
    if (open.empty()) co_return Result<>();
    std::vector<Result<mailstore::ThreadId>> threads;
    if (searching.program.cost >= SearchCost::thread) threads = co_await services_.store.threads(account(), open);
    std::vector<Result<mail::Structure>> structures;
    if (searching.program.cost >= SearchCost::structure)
        structures = co_await services_.store.structures(account(), open, mail_key_);
    for (std::size_t i = 0; i < open.size(); ++i) {
        const auto email_id = fmt::format("E{}", open[i].lasting_id().value);
        const auto thread = !threads.empty() && threads[i] ? "T" + threads[i]->text() : std::string();
        auto facts = facts_of(places[i], searching.now);
        facts.record = SearchFacts::Record{
            .received = open[i].received, .octets = open[i].octets, .saved = {}, .email_id = email_id};
        facts.thread_id = thread;
        if (!structures.empty() && !structures[i]) {
            if (structures[i].error().code() == Errc::denied) co_return co_await bye_locked();
            if (structures[i].error().code() != Errc::not_found) {
                log_failure(structures[i].error(), "a message can't be read");
                searching.unread = true;
            }
            continue;
        }
        if (!structures.empty()) facts.structure = &*structures[i];
        auto answer = match(searching.program, facts);
        for (auto depth = MessageText::Depth::header; answer.is == SearchAnswer::Is::unknown;
             depth = MessageText::Depth::all) {
            const bool all = answer.needs == SearchCost::text || depth == MessageText::Depth::all;
            auto read = co_await read_text(searching, open[i], *facts.structure,
                                           all ? MessageText::Depth::all : MessageText::Depth::header);
            if (!read) co_return pass_on(read);
            if (!*read) break;
            facts.header = &searching.text;
            if (all) facts.text = &searching.text;
            answer = match(searching.program, facts);
            if (all) break;
        }
        if (answer.is == SearchAnswer::Is::yes) searching.found.push_back(places[i]);
        if (turn::over()) co_await turn::let_others();
    }
    co_return Result<>();
}

// False: it can't be read, or is gone.
Task<Result<bool>> Client::read_text(Searching& searching, const mailstore::StoredMessage& message,
                                     const mail::Structure& structure, MessageText::Depth depth) {
    auto reader = co_await services_.store.open(account(), message, mail_key_);
    Result<std::string_view> chunk;
    if (!reader) chunk = pass_on(reader);
    searching.text.begin(structure, depth);
    while (reader) {
        chunk = co_await (*reader)->next();
        if (!chunk || chunk->empty() || !searching.text.feed(*chunk)) break;
        if (turn::over()) co_await turn::let_others();
    }
    if (!chunk) {
        if (chunk.error().code() == Errc::denied) {
            auto ended = co_await bye_locked();
            co_return pass_on(ended);
        }
        if (chunk.error().code() != Errc::not_found) {
            log_failure(chunk.error(), "a message can't be read");
            searching.unread = true;
        }
        co_return false;
    }
    searching.text.finish();
    co_return true;
}

// RFC 5182 s2.1: of MIN and MAX alone, only those are saved.
void Client::save_result(const Searching& searching, const SearchReturn& wanted) {
    const auto& found = searching.found;
    SequenceSet uids;
    const auto add = [&](std::uint32_t index) { uids.append(selected_->list().messages[index].uid); };
    const bool ends_only = (wanted.min || wanted.max) && !wanted.all && !wanted.count;
    if (searching.unread || found.empty()) {
        selected_->saved = {};
        return;
    }
    if (ends_only) {
        if (wanted.min) add(found.front());
        if (wanted.max && (!wanted.min || found.size() > 1)) add(found.back());
    } else {
        for (auto index : found) add(index);
    }
    selected_->saved = std::move(uids);
}

// RFC 9051 s7.3.4, RFC 3501 s7.2.5.
void Client::say_found(const Searching& searching, SearchReturn wanted) {
    const auto& found = searching.found;
    const auto& messages = selected_->list().messages;
    const auto shown = [&](std::uint32_t index) { return by_uid() ? messages[index].uid : index + 1; };
    // RFC 4731 s3.2: of MIN and MAX alone, the number is theirs.
    const bool ends_only = (wanted.min || wanted.max) && !wanted.all && !wanted.count;
    std::uint64_t changed = 0;
    for (auto index : found) {
        if (ends_only && !(wanted.min && index == found.front()) && !(wanted.max && index == found.back())) continue;
        changed = std::max(changed, messages[index].changed.value);
    }
    auto out = std::back_inserter(out_);
    if (!wanted.extended && !rev2_) {
        out_.append("* SEARCH");
        for (auto index : found) fmt::format_to(out, " {}", shown(index));
        if (searching.program.asks_mod_sequence && !found.empty()) fmt::format_to(out, " (MODSEQ {})", changed);
        out_.append("\r\n");
        return;
    }
    // RFC 5182 s2.1: SAVE alone asks for no answer.
    if (wanted.save && !wanted.min && !wanted.max && !wanted.all && !wanted.count) return;
    if (!wanted.min && !wanted.max && !wanted.count) wanted.all = true;
    fmt::format_to(out, "* ESEARCH (TAG {})", quoted(tag_));
    if (by_uid()) out_.append(" UID");
    if (wanted.min && !found.empty()) fmt::format_to(out, " MIN {}", shown(found.front()));
    if (wanted.max && !found.empty()) fmt::format_to(out, " MAX {}", shown(found.back()));
    if (wanted.all && !found.empty()) {
        SequenceSet numbers;
        for (auto index : found) numbers.append(shown(index));
        fmt::format_to(out, " ALL {}", numbers.text());
    }
    if (wanted.count) fmt::format_to(out, " COUNT {}", found.size());
    if (searching.program.asks_mod_sequence && !found.empty()) fmt::format_to(out, " MODSEQ {}", changed);
    out_.append("\r\n");
}

}  // namespace poplar::imap
