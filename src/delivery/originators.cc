#include "delivery/originators.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "mail/address_list.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kMostAuthors = 100;  // addresses of From, and of Sender

/// How many addresses the field has; the submitter may send as each.
Task<std::expected<std::size_t, Verdict>> check_originator(directory::Directory& directory, const Submitter& submitter,
                                                           std::string name, mail::SubmissionFilter::Originator field) {
    const auto rejected = [](std::string text) { return refuse(Verdict::Kind::rejected, std::move(text)); };
    if (field.too_long) co_return rejected(fmt::format("The {} field is too long", name));
    const auto colon = field.text.find(':');
    const auto listed = mail::parse_address_list(std::string_view(field.text).substr(colon + 1), kMostAuthors + 1);
    if (listed.empty() || listed.size() > kMostAuthors)
        co_return rejected(fmt::format("The {} field can't be read", name));
    for (const auto& one : listed) {
        auto address = mail::to_address(one);
        if (!address) co_return rejected(fmt::format("The {} field can't be read", name));
        auto may = co_await may_send_as(directory, submitter, *address);
        if (!may) co_return failed(may.error());
        if (!*may) co_return rejected(fmt::format("You may not send as <{}> in {}", mail::to_string(*address), name));
    }
    co_return listed.size();
}

}  // namespace

Task<std::expected<std::size_t, Verdict>> check_originators(directory::Directory& directory, const Submitter& submitter,
                                                            const mail::SubmissionFilter& header) {
    const auto& from = header.from();
    const auto& sender = header.sender();
    if (from.fields != 1)
        co_return refuse(Verdict::Kind::rejected, fmt::format("The message has {} From fields, not one", from.fields));
    if (sender.fields > 1)
        co_return refuse(Verdict::Kind::rejected, fmt::format("The message has {} Sender fields", sender.fields));
    auto authors = co_await check_originator(directory, submitter, "From", from);
    if (!authors) co_return authors;
    if (sender.fields == 1)
        if (auto good = co_await check_originator(directory, submitter, "Sender", sender); !good) co_return good;
    co_return authors;
}

}  // namespace poplar::delivery
