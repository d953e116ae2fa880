// Declares the operations on quotas.
#include "api/quota.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "api/types.h"
#include "base/units.h"

namespace poplar::api {

namespace {

constexpr std::string_view kName = "An account, for example jane@example.org, or a domain, for example example.org";

/// A limit: a number, and "none" for 0.
template <class T>
class LimitType : public Type {
public:
    Result<> read(const Json& json, void* value, const Member&) const override {
        if (!json.is_number_unsigned() || json.get<std::uint64_t>() > T::kMost)
            return fail(Errc::invalid, fmt::format("must be null or a number up to {}", T::kMost));
        static_cast<T*>(value)->count = json.get<std::uint64_t>();
        return {};
    }
    void write(Json& json, const void* value) const override { json = static_cast<const T*>(value)->count; }
    Result<> read_text(std::string_view text, void* value, const Member& member) const override {
        if (text == "none") return read(0u, value, member);
        auto number = parse(text);
        if (!number) return fail(Errc::invalid, number.error().detail());
        return read(*number, value, member);
    }
    std::string typescript() const override { return "number"; }

protected:
    virtual Result<std::uint64_t> parse(std::string_view text) const = 0;
};

class OctetsType final : public LimitType<Octets> {
public:
    std::string words() const override { return "number of octets"; }

protected:
    Result<std::uint64_t> parse(std::string_view text) const override {
        auto size = parse_size(text);
        if (!size) return fail(Errc::invalid, "takes a size like 500MB or 2GiB, \"none\" or \"default\"");
        return size;
    }
};

class MessageCountType final : public LimitType<MessageCount> {
public:
    std::string words() const override { return "number of messages"; }

protected:
    Result<std::uint64_t> parse(std::string_view text) const override {
        std::uint64_t number = 0;
        const char* last = text.data() + text.size();
        auto [end, error] = std::from_chars(text.data(), last, number);
        if (text.empty() || error != std::errc{} || end != last)
            return fail(Errc::invalid, "takes a number, \"none\" or \"default\"");
        return number;
    }
};

}  // namespace

template <>
const Type& type_of<Octets>() {
    static const OctetsType type;
    return type;
}
template <>
const Type& type_of<MessageCount>() {
    static const MessageCountType type;
    return type;
}

const Shape& Quota::shape() {
    static const Shape shape{
        "Quota",
        "Octets are counted as POP3's STAT counts them. Deleted mail that is still kept is not in it.",
        {field<&Quota::name>("name", "The account or the domain, in its one spelling"),
         field<&Quota::bytes>("bytes",
                              "Of the account; of a domain: of each account that has no limit of its own. Null: "
                              "not set; 0: no limit"),
         field<&Quota::messages>("messages", "The same in messages"),
         field<&Quota::total_bytes>("total_bytes", "Of a domain: of all its accounts together"),
         field<&Quota::total_messages>("total_messages", "The same in messages"),
         field<&Quota::most_bytes>("most_bytes",
                                   "Of an account: the limit that holds for it, its own or its domain's; 0: none"),
         field<&Quota::most_messages>("most_messages", "The same in messages"),
         field<&Quota::used_bytes>("used_bytes",
                                   "How much there is, in all mailboxes; of a domain: of all its accounts"),
         field<&Quota::used_messages>("used_messages", "How many messages")}};
    return shape;
}

const Operation& ShowQuota::operation() {
    static const Operation operation{
        .request = {"ShowQuota",
                    "Show how much mail an account or a domain may hold, and how much it does",
                    {field<&ShowQuota::name>("name", kName)}},
        .method = Method::get,
        .route = "/v1/quotas/{name}",
        .reply = &Quota::shape()};
    return operation;
}

const Operation& SetQuota::operation() {
    static const Operation operation{
        .request =
            {"SetQuota",
             "Set how much mail an account, each account of a domain, or a domain as a whole may hold",
             {field<&SetQuota::name>("name", kName),
              field<&SetQuota::bytes>(
                  "bytes",
                  "A size like 2GB; none; default: as the account's domain has it. Of a domain: for "
                  "each account that has no limit of its own")
                  .called("SIZE"),
              field<&SetQuota::messages>("messages", "The same in messages").called("NUMBER"),
              field<&SetQuota::total_bytes>("total_bytes", "Of a domain: for all its accounts together").called("SIZE"),
              field<&SetQuota::total_messages>("total_messages", "The same in messages").called("NUMBER")}},
        .method = Method::put,
        .route = "/v1/quotas/{name}",
        .reply = &Quota::shape(),
        .answer = "Members that are not named stay; null: not set. It holds for mail that comes from now on."};
    return operation;
}

const Shape& Recount::shape() {
    static const Shape shape{"Recount",
                             "",
                             {field<&Recount::name>("name", "The account or the domain"),
                              field<&Recount::accounts>("accounts", "How many were counted"),
                              field<&Recount::corrected>("corrected", "Those whose counters were wrong"),
                              field<&Recount::used_bytes>("used_bytes", "Octets that were found"),
                              field<&Recount::used_messages>("used_messages", "Messages that were found")}};
    return shape;
}

const Operation& RecountQuota::operation() {
    static const Operation operation{
        .request = {"RecountQuota",
                    "Count the messages of an account, or of all accounts of a domain, anew, and correct what is wrong",
                    {field<&RecountQuota::name>("name", kName)}},
        .method = Method::post,
        .route = "/v1/quotas/{name}/recount",
        .reply = &Recount::shape()};
    return operation;
}

}  // namespace poplar::api
