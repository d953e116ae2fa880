// NOOP, LOGOUT, ID, ENABLE, NAMESPACE, GETQUOTA, GETQUOTAROOT.
#include <algorithm>

#include "base/version.h"
#include "imap/client.h"

namespace poplar::imap {

namespace {

constexpr std::size_t kMostIdFields = 30;  // RFC 2971 s3.3

}  // namespace

// CHECK, too: all that was answered is on the disk already.
Task<Result<>> Client::noop(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    co_return co_await ok("done");
}

Task<Result<>> Client::logout(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    fmt::format_to(std::back_inserter(out_), "* BYE goodbye\r\n{} OK done\r\n", tag_);
    if (auto said = co_await send(); !said) co_return said;
    co_return lines_.end(session::kQuit);
}

// RFC 2971.
Task<Result<>> Client::id(Cursor in) {
    if (in.take('(')) {
        for (std::size_t fields = 0; !in.take(')'); ++fields) {
            if (fields == kMostIdFields || (fields > 0 && !in.space())) co_return co_await bad_arguments();
            const bool named = in.string() && in.space();
            if (!named || (!in.take_word("NIL") && !in.string())) co_return co_await bad_arguments();
        }
    } else if (!in.take_word("NIL")) {
        co_return co_await bad_arguments();
    }
    if (!in.at_end()) co_return co_await bad_arguments();
    untagged("ID (\"name\" \"Poplar\")");
    co_return co_await ok("done");
}

// RFC 5161, RFC 9051 s6.3.1. Words that nobody knows are passed over.
Task<Result<>> Client::enable(Cursor in) {
    std::string enabled;
    bool any = false;
    const auto turn_on = [&](bool& what, std::string_view name) {
        if (std::exchange(what, true)) return;
        enabled.append(" ").append(name);
    };
    bool rev2 = rev2_, utf8 = false, condstore = condstore_, qresync = qresync_, uids_only = uids_only_;
    do {
        const auto word = parse_keyword(in);
        if (!word) co_return co_await bad_arguments();
        any = true;
        if (*word == "IMAP4REV2") turn_on(rev2, "IMAP4rev2");
        if (*word == "UTF8=ACCEPT") turn_on(utf8, "UTF8=ACCEPT");
        if (*word == "CONDSTORE") turn_on(condstore, "CONDSTORE");
        if (*word == "QRESYNC") turn_on(qresync, "QRESYNC");
        if (*word == "UIDONLY") turn_on(uids_only, "UIDONLY");
    } while (in.space());
    if (!any || !in.at_end()) co_return co_await bad_arguments();
    rev2_ = rev2;
    utf8_ = utf8_ || utf8 || rev2;
    qresync_ = qresync;
    uids_only_ = uids_only;
    condstore_ = condstore || qresync;  // RFC 7162 s3.2.3
    untagged("ENABLED{}", enabled);
    co_return co_await ok("done");
}

// RFC 4978. TLS of ours never compresses, and is not begun inside of compression.
Task<Result<>> Client::compress(Cursor in) {
    const auto mechanism = parse_keyword(in);
    if (!mechanism || !in.at_end()) co_return co_await bad_arguments();
    if (*mechanism != "DEFLATE") co_return co_await bad("unknown mechanism");
    if (!options_.compression) co_return co_await no("[CANNOT] nothing is compressed here");
    if (compressed_) co_return co_await no("[COMPRESSIONACTIVE] compression is active already");
    if (auto said = co_await ok("compressed from here on"); !said) co_return said;
    compressed_ = std::make_unique<CompressedConnection>(connection_, dynamic_cast<net::Wakeable*>(&connection_));
    lines_.go_on_with(*compressed_);
    co_return Result<>();
}

// RFC 2342, RFC 9051 s6.3.10: everything is the user's own.
Task<Result<>> Client::name_space(Cursor in) {
    if (!in.at_end()) co_return co_await bad_arguments();
    untagged("NAMESPACE ((\"\" \"/\")) NIL NIL");
    co_return co_await ok("done");
}

// RFC 9208: all mailboxes have one root, "".
Task<Result<>> Client::get_quota(Cursor in) {
    const auto root = in.astring();
    if (!root || !in.at_end()) co_return co_await bad_arguments();
    if (!root->empty()) co_return co_await no("[NONEXISTENT] no such quota root");
    co_return co_await say_quota();
}

Task<Result<>> Client::get_quota_root(Cursor in) {
    const auto name = mailbox_name(in);
    if (!name || !in.at_end()) co_return co_await bad_arguments();
    auto mailbox = co_await find_mailbox(*name);
    if (!mailbox) co_return co_await no(mailbox.error(), "no such mailbox");
    out_.append("* QUOTAROOT ");
    write_mailbox(out_, mailbox->name);
    out_.append(" \"\"\r\n");
    co_return co_await say_quota();
}

Task<Result<>> Client::say_quota() {
    auto owner = co_await services_.directory.account(account());
    if (!owner) co_return co_await no(owner.error(), "the account can't be read");
    auto bounds = co_await services_.directory.bounds_of(std::move(*owner));
    if (!bounds) co_return co_await no(bounds.error(), "the account can't be read");
    auto totals = co_await services_.store.totals(account());
    if (!totals) co_return co_await no(totals.error(), "the account can't be read");
    // RFC 9208 s5.1: a resource without a limit is not listed. STORAGE counts units of 1024 octets.
    std::string resources;
    constexpr std::uint64_t kUnit = 1024;
    const auto of_account = *bounds ? **bounds : directory::Bounds();
    if (of_account.octets != 0)
        resources = fmt::format("STORAGE {} {}", (totals->octets + kUnit - 1) / kUnit, of_account.octets / kUnit);
    if (of_account.messages != 0)
        resources +=
            fmt::format("{}MESSAGE {} {}", resources.empty() ? "" : " ", totals->messages, of_account.messages);
    untagged("QUOTA \"\" ({})", resources);
    co_return co_await ok("done");
}

}  // namespace poplar::imap
