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
        else if (*word != "PARTIAL" || wanted.partial || !in.space() || !(wanted.partial = parse_result_range(in)))
            return std::nullopt;
    }
    // RFC 9394 s3.1
    if (!in.space() || (wanted.partial && wanted.all)) return std::nullopt;
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
    if (program->asks_numbers && uids_only_) co_return co_await refuse_numbers();
    Searching searching;
    searching.program = std::move(*program);
    if (searching.program.asks_numbers) expunges_ = Expunges::held;
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
        if (auto goes_on = co_await breathe(open.size() - left.size(), open.size()); !goes_on) co_return goes_on;
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
    std::vector<Opened> opened;
    opened.reserve(open.size());
    for (std::size_t i = 0; i < open.size(); ++i) {
        if (!structures.empty() && !structures[i]) {
            if (structures[i].error().code() == Errc::denied) co_return co_await bye_locked();
            if (structures[i].error().code() != Errc::not_found) {
                log_failure(structures[i].error(), "a message can't be read");
                searching.unread = true;
            }
            continue;
        }
        auto& one = opened.emplace_back(facts_of(places[i], searching.now), open[i], places[i]);
        one.email_id = fmt::format("E{}", open[i].lasting_id().value);
        if (!threads.empty() && threads[i]) one.thread_id = "T" + threads[i]->text();
        if (!structures.empty()) one.structure = &*structures[i];
        one.answer = match(searching.program, one.known());
        if (turn::over()) co_await turn::let_others();
    }
    if (auto read = co_await read_texts(searching, opened); !read) co_return read;
    for (const auto& one : opened)
        if (one.answer.is == SearchAnswer::Is::yes) searching.found.push_back(one.place);
    co_return Result<>();
}

std::vector<std::uint32_t> Client::answered(const Searching& searching, const SearchReturn& wanted) {
    const auto& found = searching.found;
    if (!wanted.some() || found.empty()) return found;
    std::vector<std::uint32_t> some;
    if (wanted.min) some.push_back(found.front());
    if (wanted.max) some.push_back(found.back());
    if (wanted.partial) {
        const auto range = wanted.partial->of(found);
        some.insert(some.end(), range.begin(), range.end());
    }
    std::ranges::sort(some);
    some.erase(std::ranges::unique(some).begin(), some.end());
    return some;
}

void Client::save_result(const Searching& searching, const SearchReturn& wanted) {
    SequenceSet uids;
    if (!searching.unread)
        for (auto index : answered(searching, wanted)) uids.append(selected_->list().messages[index].uid);
    selected_->saved = std::move(uids);
}

// RFC 9051 s7.3.4, RFC 3501 s7.2.5.
void Client::say_found(const Searching& searching, SearchReturn wanted) {
    const auto& found = searching.found;
    const auto& messages = selected_->list().messages;
    const auto shown = [&](std::uint32_t index) { return by_uid() ? messages[index].uid : index + 1; };
    const auto write_set = [&](std::span<const std::uint32_t> indexes) {
        SequenceSet numbers;
        for (auto index : indexes) numbers.append(shown(index));
        out_.append(numbers.text());
    };
    std::uint64_t changed = 0;
    if (searching.program.asks_mod_sequence)
        for (auto index : answered(searching, wanted)) changed = std::max(changed, messages[index].changed.value);
    auto out = std::back_inserter(out_);
    if (!wanted.extended && !rev2_) {
        out_.append("* SEARCH");
        for (auto index : found) fmt::format_to(out, " {}", shown(index));
        if (searching.program.asks_mod_sequence && !found.empty()) fmt::format_to(out, " (MODSEQ {})", changed);
        out_.append("\r\n");
        return;
    }
    // RFC 5182 s2.1: SAVE alone asks for no answer.
    if (wanted.save && !wanted.some() && !wanted.all && !wanted.count) return;
    if (!wanted.some() && !wanted.count) wanted.all = true;
    fmt::format_to(out, "* ESEARCH (TAG {})", quoted(tag_));
    if (by_uid()) out_.append(" UID");
    if (wanted.min && !found.empty()) fmt::format_to(out, " MIN {}", shown(found.front()));
    if (wanted.max && !found.empty()) fmt::format_to(out, " MAX {}", shown(found.back()));
    if (wanted.all && !found.empty()) {
        out_.append(" ALL ");
        write_set(found);
    }
    if (wanted.partial) {
        const auto range = wanted.partial->of(found);
        fmt::format_to(out, " PARTIAL ({} ", wanted.partial->text());
        if (range.empty())
            out_.append("NIL");
        else
            write_set(range);
        out_.append(")");
    }
    if (wanted.count) fmt::format_to(out, " COUNT {}", found.size());
    if (searching.program.asks_mod_sequence && !found.empty()) fmt::format_to(out, " MODSEQ {}", changed);
    out_.append("\r\n");
}

}  // namespace poplar::imap
