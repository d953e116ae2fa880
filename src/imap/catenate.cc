// CATENATE (RFC 4469): the octets of a message that is there already, or of a part of it, for a new one.
#include <algorithm>
#include <limits>

#include "imap/appending.h"
#include "imap/fetch_octets.h"

namespace poplar::imap {

namespace {

// RFC 4469 s5: the URL as it came, but for octets that a response code can't have.
std::string bad_url(std::string_view url) {
    constexpr std::size_t kShown = 500;
    std::string shown(url.substr(0, kShown));
    const auto can_stand = [](char c) { return c > ' ' && c <= '~' && c != ']'; };
    std::ranges::replace_if(shown, [&](char c) { return !can_stand(c); }, '?');
    return fmt::format("[BADURL {}] no such message, or part of one", shown.empty() ? "?" : shown);
}

}  // namespace

Task<Result<Client::Refused>> Client::take_url(Appending& appending, std::string text) {
    const auto url = parse_message_url(text);
    if (!url || (!url->mailbox && !selected_)) co_return Refused{bad_url(text)};
    auto mailbox = selected_ && !url->mailbox ? selected_->id() : mailstore::MailboxId();
    if (url->mailbox) {
        auto found = co_await find_mailbox(*url->mailbox);
        if (!found || (url->uid_validity && *url->uid_validity != found->uid_validity))
            co_return Refused{bad_url(text)};
        mailbox = found->id;
    }
    auto messages = co_await services_.store.messages(account(), mailbox, {Uid(url->uid)});
    if (!messages || messages->empty()) co_return Refused{bad_url(text)};
    const auto& message = messages->front();
    auto structures = co_await services_.store.structures(account(), *messages, mail_key_);
    if (!structures.front()) co_return Refused{bad_url(text)};
    const FetchItem item{
        .kind = FetchItem::Kind::section, .peek = true, .section = url->section, .partial = url->partial};
    ItemWriter writer(item, *structures.front(), TextForm::ascii, ItemWriter::Form::octets);
    if (!writer.exists()) co_return Refused{bad_url(text)};
    auto refused = co_await make_room(appending, std::min(writer.most(), message.octets));
    if (!refused || !refused->text.empty()) co_return refused;
    std::string out;
    if (writer.start(out) == ItemWriter::Next::done) co_return Refused();
    auto reader = co_await services_.store.open(account(), message, mail_key_);
    if (!reader) co_return Refused{bad_url(text)};
    std::uint64_t at = 0;
    for (auto next = ItemWriter::Next::more; next == ItemWriter::Next::more;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk || chunk->empty()) co_return Refused{bad_url(text)};
        next = writer.feed(at, *chunk, out);
        at += chunk->size();
        co_await appending.message->add(out);
        out.clear();
    }
    co_return Refused();
}

}  // namespace poplar::imap
