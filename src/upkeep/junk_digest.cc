#include "upkeep/junk_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/random.h"
#include "mail/header_walk.h"
#include "mail/release_address.h"
#include "mail/trace.h"
#include "mail/wire_form.h"

namespace poplar::upkeep {

namespace {

constexpr auto kEvery = std::chrono::hours(20);       // a day, less what rounds may be late
constexpr auto kLately = std::chrono::days(30);       // of logins
constexpr auto kPlaceKept = std::chrono::days(3650);  // how far the last digest came
constexpr std::size_t kMostListed = 30;
constexpr std::size_t kMostIds = 1000;      // octets of a fact's value
constexpr std::size_t kHeader = 64 * 1024;  // holds any header that people wrote
constexpr std::size_t kShown = 100;         // octets of a name or a subject
constexpr std::size_t kAtOnce = 500;
constexpr std::string_view kPlace = "junk/digest/place", kTold = "junk/digest/told";

std::string shown(const std::vector<mail::HeaderField>& fields, std::string_view name) {
    for (const auto& field : fields) {
        if (!std::ranges::equal(field.name, name, [](char a, char b) { return (a | 0x20) == (b | 0x20); })) continue;
        auto text = mail::decode_for_display(field.value);
        if (text.size() <= kShown) return text;
        auto end = kShown;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // no half character
        return text.substr(0, end) + "...";
    }
    return "(none)";
}

}  // namespace

Task<Result<>> JunkDigest::round(jobs::Control& control) {
    if (options_.whom == DigestFor::none) co_return Result<>();
    std::uint64_t told = 0;
    std::string after;
    for (;;) {
        auto page = co_await directory_.accounts("", after, options_.accounts);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            auto done = co_await tell(account);
            if (done)
                told += *done ? 1 : 0;
            else
                log::warning("housekeeping.digest_failed",
                             {{"account", account.address}, {"reason", done.error().detail()}});
        }
        if (page->size() < options_.accounts) break;
        control.tell(fmt::format("{} digests, up to {}", told, after));
        if (auto paused = co_await control.pause(options_.pause); !paused) co_return paused;
    }
    if (told != 0) log::info("housekeeping.digests", {{"accounts", told}});
    co_return Result<>();
}

Task<Result<bool>> JunkDigest::is_for(mailstore::AccountId account) {
    if (options_.whom == DigestFor::all) co_return true;
    auto logins = co_await ledger_.list(account, {.since = clock_.now() - kLately, .kinds = {activity::Kind::login}});
    if (!logins) co_return pass_on(logins);
    const auto by = [&](std::string_view protocol) {
        return std::ranges::any_of(logins->entries,
                                   [&](const auto& one) { return one.origin.protocol.starts_with(protocol); });
    };
    co_return by("pop3") && !by("imap");
}

Task<Result<JunkDigest::Listed>> JunkDigest::look_at(mailstore::AccountId account, mailstore::StoredMessage message) {
    Listed out{message.unique_id, {}, {}, message.received};
    auto reader = co_await store_.open(account, std::move(message));
    if (!reader && reader.error().code() == Errc::denied) {  // encrypted, and nobody has its key here
        out.from = out.subject = "(encrypted)";
        co_return out;
    }
    if (!reader) co_return pass_on(reader);
    std::string plain;
    mail::WireDecoder decoder;
    mail::HeaderWalk walk;
    while (!walk.in_body() && plain.size() < kHeader) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        walk.feed(*chunk);
        decoder.decode(*chunk, plain);
    }
    const auto fields = mail::parse_header(plain);
    out.from = shown(fields, "from");
    out.subject = shown(fields, "subject");
    co_return out;
}

/// False: there is nothing to tell.
Task<Result<bool>> JunkDigest::tell(directory::Account account) {
    auto mailboxes = co_await store_.mailboxes(account.id);
    if (!mailboxes && mailboxes.error().code() == Errc::not_found) co_return false;
    if (!mailboxes) co_return pass_on(mailboxes);
    const auto junk = std::ranges::find(*mailboxes, mailstore::SpecialUse::junk, &mailstore::Mailbox::use);
    if (junk == mailboxes->end() || junk->totals.messages == 0) co_return false;
    auto told = co_await store_.fact(account.id, std::string(kTold));
    if (!told) co_return pass_on(told);
    if (*told) co_return false;
    auto place = co_await store_.fact(account.id, std::string(kPlace));
    if (!place) co_return pass_on(place);
    std::uint64_t last = 0;
    if (*place) std::from_chars((*place)->data(), (*place)->data() + (*place)->size(), last);
    if (last + 1 >= junk->uid_next.value) co_return false;
    auto wanted = co_await is_for(account.id);
    if (!wanted || !*wanted) co_return wanted;

    std::vector<mailstore::StoredMessage> fresh;
    std::uint64_t unlisted = 0;
    for (mailstore::OrderKey after{last};;) {
        auto page = co_await store_.list(account.id, junk->id, after, kAtOnce);
        if (!page) co_return pass_on(page);
        for (auto& one : *page) {
            after = one.order;
            last = std::max(last, one.order.value);
            if (one.flags.has(mailstore::Flag::seen)) continue;  // its user has read it
            fresh.push_back(std::move(one));
            if (fresh.size() <= kMostListed) continue;
            fresh.erase(fresh.begin());  // the newest are listed
            ++unlisted;
        }
        if (page->size() < kAtOnce) break;
    }
    if (fresh.empty()) co_return false;
    std::vector<Listed> listed;
    std::string ids;
    for (auto& one : fresh) {
        if (ids.size() + 1 + one.unique_id.size() > kMostIds) {
            ++unlisted;
            continue;
        }
        auto looked = co_await look_at(account.id, std::move(one));
        if (!looked && looked.error().code() == Errc::not_found) continue;  // it has gone meanwhile
        if (!looked) co_return pass_on(looked);
        ids += (ids.empty() ? "" : " ") + looked->unique_id;
        listed.push_back(std::move(*looked));
    }
    if (listed.empty()) co_return false;
    const auto token = random_text(mail::kReleaseTokenLength);
    const auto now = clock_.now();
    std::vector<mailstore::NewFact> facts = {
        {std::string(kPlace), std::to_string(last), now + kPlaceKept, true},
        {std::string(kTold), "", now + kEvery, true},
        {mail::release_fact(token), ids, now + kDigestRemembered, true},
    };
    auto filed = co_await file(account, compose(account, junk->name, listed, unlisted, token), std::move(facts));
    if (!filed) co_return pass_on(filed);
    co_return true;
}

std::string JunkDigest::compose(const directory::Account& account, const std::string& mailbox,
                                const std::vector<Listed>& listed, std::uint64_t unlisted,
                                const std::string& token) const {
    const auto address = [&](std::size_t number) {
        return mail::release_address(account.address, options_.separator, token, number);
    };
    const auto count = listed.size() + unlisted;
    std::string text = fmt::format(
        "Date: {}\nFrom: Mail server <postmaster@{}>\nTo: <{}>\nReply-To: <{}>\nMessage-ID: <{}@{}>\n"
        "Subject: {} {} in your mailbox for junk\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n",
        mail::format_date(clock_.now()), directory::domain_of(account), account.address, address(0), random_text(20),
        options_.hostname, count, count == 1 ? "message" : "messages");
    text += fmt::format("New in the mailbox \"{}\" of {}:\n", mailbox, account.address);
    for (std::size_t i = 0; i < listed.size(); ++i)
        text += fmt::format("\n{}. From: {}\n   Subject: {}\n   Came: {}\n   Not junk? Write to <mailto:{}>\n", i + 1,
                            listed[i].from, listed[i].subject, mail::format_date(listed[i].received), address(i + 1));
    if (unlisted != 0) text += fmt::format("\nAnd {} older ones.\n", unlisted);
    const auto at = std::min(account.address.rfind('@'), account.address.size());
    text += fmt::format(
        "\nWhat is junk needs nothing from you.\n"
        "\nAn empty message to the address below a message brings it to your INBOX. A\n"
        "reply to this message brings all that are listed. The addresses are good for\n"
        "30 days, and for you alone: don't pass this message on.\n"
        "\nTo read the mailbox by POP, log in as {}{}junk{}\nwith the same password.\n",
        account.address.substr(0, at), options_.separator, account.address.substr(at));
    return text;
}

Task<Result<>> JunkDigest::file(const directory::Account& account, std::string text,
                                std::vector<mailstore::NewFact> facts) {
    auto writer = store_.stage(text.size());
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    encoder.encode(text, wire);
    encoder.finish(wire);
    if (auto written = co_await writer->write(wire); !written) co_return written;
    auto content = co_await writer->finish(encoder.sizes().octets, 1);
    if (!content) co_return pass_on(content);
    mailstore::Filing filing;
    filing.facts = std::move(facts);
    mailstore::Filing::Item item;
    item.message.content = std::move(*content);
    item.mailbox = "INBOX";
    filing.items.push_back(std::move(item));
    auto filed = co_await store_.file(account.id, std::move(filing));
    if (!filed) co_return pass_on(filed);
    co_return Result<>();
}

}  // namespace poplar::upkeep
