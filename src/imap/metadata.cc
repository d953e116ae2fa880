// GETMETADATA and SETMETADATA (RFC 5464). An account's annotations are one document of it, by the numbers of mailboxes:
// so they follow a mailbox that is renamed, and nobody inherits those of one that was removed.
#include <algorithm>

#include "imap/annotations.h"
#include "imap/client.h"

namespace poplar::imap {

namespace {

constexpr std::string_view kDocument = "imap/metadata";
constexpr int kAttempts = 8;  // while other sessions set annotations, too

void write_value(std::string& out, std::string_view value, TextForm form) {
    if (!value.contains('\0')) return write_string(out, value, form);
    fmt::format_to(std::back_inserter(out), "~{{{}}}\r\n", value.size());
    out.append(value);
}

}  // namespace

// Annotations::kServer for the server. Errors: not_found.
Task<Result<std::uint32_t>> Client::annotated(std::string mailbox) {
    if (mailbox.empty()) co_return Annotations::kServer;
    auto name = decoded_name(std::move(mailbox));
    if (!name) co_return fail(Errc::not_found, "no name can be so");
    auto found = co_await find_mailbox(std::move(*name));
    if (!found) co_return pass_on(found);
    co_return found->id.value;
}

Task<Result<Annotations>> Client::read_annotations() {
    auto document = co_await services_.store.document(account(), std::string(kDocument));
    if (!document && document.error().code() != Errc::not_found) co_return pass_on(document);
    co_return Annotations::decode(document ? document->content : std::string());
}

Task<Result<>> Client::get_metadata(Cursor in) {
    const auto query = parse_metadata_query(in);
    if (!query) co_return co_await bad_arguments();
    auto mailbox = co_await annotated(query->mailbox);
    if (!mailbox) co_return co_await no(mailbox.error(), "no such mailbox");
    auto all = co_await read_annotations();
    if (!all) co_return co_await no(all.error(), "the annotations can't be read");
    std::string values;
    std::uint64_t longest = 0;
    const auto add = [&](std::string_view name) {
        if (!values.empty()) values += ' ';
        write_astring(values, name, TextForm::ascii);
        values += ' ';
    };
    for (const auto& [name, value] : all->of(*mailbox)) {
        if (!query->asks_for(name)) continue;
        if (value.size() > query->most_octets) {
            longest = std::max<std::uint64_t>(longest, value.size());
            continue;
        }
        add(name);
        write_value(values, value, form());
    }
    if (query->depth == MetadataQuery::Depth::none)
        for (const auto& name : query->names)
            if (!all->of(*mailbox).contains(name)) {
                add(name);
                values += "NIL";
            }
    if (!values.empty()) {
        out_.append("* METADATA ");
        write_string(out_, query->mailbox, form());
        out_.append(" (").append(values).append(")\r\n");
    }
    if (longest > 0) co_return co_await ok(fmt::format("[METADATA LONGENTRIES {}] not all", longest));
    co_return co_await ok("done");
}

// RFC 5464 s4.3: all of them are set, or none.
Task<Result<>> Client::set_metadata(Cursor in) {
    const auto change = parse_metadata_change(in);
    if (!change) co_return co_await bad_arguments();
    if (!may_change()) co_return co_await no("[NOPERM] this device's password is for reading only");
    auto mailbox = co_await annotated(change->mailbox);
    if (!mailbox) co_return co_await no(mailbox.error(), "no such mailbox");
    if (*mailbox == Annotations::kServer && !sees_all())
        co_return co_await no("[NOPERM] this device sees only some mailboxes");
    for (const auto& [name, value] : change->values) {
        if (value && value->size() > Annotations::kLargestValue)
            co_return co_await no(
                fmt::format("[METADATA MAXSIZE {}] a value is too large", Annotations::kLargestValue));
        if (*mailbox == Annotations::kServer && name == "/shared/admin")
            co_return co_await no("[CANNOT] the server says that itself");
    }
    const auto edit = [&](Annotations& all) {
        bool fits = true;
        for (const auto& [name, value] : change->values) fits = all.set(*mailbox, name, value);
        return fits;
    };
    auto done = co_await change_annotations(edit);
    if (!done && done.error().code() == Errc::too_large)
        co_return co_await no("[METADATA TOOMANY] there are too many annotations");
    if (!done) co_return co_await no(done.error(), "the annotations can't be kept");
    co_return co_await ok("done");
}

// Errors: too_large (`edit` says false, or they are more than may be); otherwise as the store's documents.
Task<Result<>> Client::change_annotations(std::function<bool(Annotations&)> edit) {
    auto mailboxes = co_await services_.store.mailboxes(account());
    if (!mailboxes) co_return pass_on(mailboxes);
    std::vector<std::uint32_t> ids{Annotations::kServer};
    for (const auto& mailbox : *mailboxes) ids.push_back(mailbox.id.value);
    for (int attempt = 1;; ++attempt) {
        auto document = co_await services_.store.document(account(), std::string(kDocument));
        if (!document && document.error().code() != Errc::not_found) co_return pass_on(document);
        auto all = Annotations::decode(document ? document->content : std::string());
        if (!all) co_return pass_on(all);
        const bool fits = edit(*all);
        all->keep_only(ids);
        auto octets = all->encode();
        if (!fits || octets.size() > Annotations::kLargest) co_return fail(Errc::too_large, "too many annotations");
        auto put = co_await services_.store.put_document(account(), std::string(kDocument), std::move(octets),
                                                         document ? document->info.version : ModSequence());
        if (put) co_return Result<>();
        if (put.error().code() != Errc::exists || attempt == kAttempts) co_return pass_on(put);
    }
}

}  // namespace poplar::imap
