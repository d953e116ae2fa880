#include "inspection/rspamd_reply.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/ascii.h"

namespace poplar::inspection {

namespace {

using Json = nlohmann::json;
using Action = RspamdReply::Action;

constexpr std::size_t kTextOctets = 400;
constexpr std::size_t kNameOctets = 100;
constexpr std::size_t kSubjectOctets = 2000;

constexpr std::array<std::pair<std::string_view, Action>, 8> kActions = {{{"no action", Action::none},
                                                                          {"greylist", Action::greylist},
                                                                          {"add header", Action::add_header},
                                                                          {"rewrite subject", Action::rewrite_subject},
                                                                          {"soft reject", Action::soft_reject},
                                                                          {"reject", Action::reject},
                                                                          {"quarantine", Action::quarantine},
                                                                          {"discard", Action::discard}}};

/// The member's text; "" if it is none.
std::string text_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A value is a text, an object with one, or a list of such.
void add_header(RspamdReply& reply, const std::string& name, const Json& value) {
    if (value.is_array()) {
        for (const auto& one : value)
            if (!one.is_array()) add_header(reply, name, one);
        return;
    }
    if (reply.add_headers.size() == kReplyFields || !is_field_name(name)) return;
    if (value.is_string())
        reply.add_headers.emplace_back(name, field_value(value.get<std::string>()));
    else if (value.is_object() && value.contains("value"))
        reply.add_headers.emplace_back(name, field_value(text_of(value, "value")));
}

void read_milter_part(RspamdReply& reply, const Json& milter) {
    if (const auto added = milter.find("add_headers"); added != milter.end() && added->is_object())
        for (const auto& [name, value] : added->items()) add_header(reply, name, value);
    if (const auto removed = milter.find("remove_headers"); removed != milter.end() && removed->is_object())
        for (const auto& [name, value] : removed->items())
            if (is_field_name(name) && reply.remove_headers.size() < kReplyFields)
                reply.remove_headers.push_back(ascii::to_lower(name));
    if (const auto name = text_of(milter, "spam_header"); is_field_name(name)) reply.spam_header = name;
}

}  // namespace

unsigned RspamdReply::percent() const {
    if (!(score > 0) || !(required_score > 0)) return 0;
    return static_cast<unsigned>(std::clamp(score / required_score * 100, 0.0, 100.0));
}

std::string_view to_string(Action action) {
    for (const auto& [word, one] : kActions)
        if (one == action) return word;
    return "";
}

std::string reply_text(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, kTextOctets)) {
        const bool space = c == '\r' || c == '\n' || c == '\t';
        out += space ? ' ' : c < ' ' || c == 0x7f ? '?' : c;  // char is signed: octets over 0x7f, too
    }
    return std::string(ascii::trim(out));
}

bool is_field_name(std::string_view name) {
    const auto good = [](char c) { return c > ' ' && c < 0x7f && c != ':'; };
    return !name.empty() && name.size() <= kNameOctets && std::ranges::all_of(name, good);
}

std::string field_value(std::string_view value) {
    std::string out;
    constexpr std::string_view kBlank = " \t\r\n";
    value = value.substr(0, kFieldOctets);
    value.remove_prefix(std::min(value.find_first_not_of(kBlank), value.size()));
    value = value.substr(0, value.find_last_not_of(kBlank) + 1);
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        if (c == '\r' || c == '\n') {
            // Several line ends in a row are one: an empty line would end the header.
            while (i + 1 < value.size() &&
                   (value[i + 1] == '\r' || value[i + 1] == '\n' || ascii::is_wsp(value[i + 1])))
                ++i;
            out += "\r\n\t";
        } else {
            const auto octet = static_cast<unsigned char>(c);
            out += (octet < ' ' && c != '\t') || octet == 0x7f ? '?' : c;
        }
    }
    return out;
}

Result<RspamdReply> parse_rspamd_reply(std::string_view json) {
    if (json.size() > kReplyOctets) return fail(Errc::invalid, "rspamd's answer is too long");
    const auto read = Json::parse(json.begin(), json.end(), nullptr, false);
    if (!read.is_object()) return fail(Errc::invalid, "rspamd's answer is no JSON object");
    RspamdReply reply;
    const auto word = text_of(read, "action");
    const auto* known = std::ranges::find(kActions, std::string_view(word), [](const auto& one) { return one.first; });
    if (known == kActions.end()) return fail(Errc::invalid, "rspamd's answer has no action that is known");
    reply.action = known->second;
    const auto number = [&](const char* name, double& value) {
        const auto found = read.find(name);
        if (found == read.end() || !found->is_number()) return false;
        value = found->get<double>();
        return std::isfinite(value);
    };
    if (!number("score", reply.score)) return fail(Errc::invalid, "rspamd's answer has no score");
    if (!number("required_score", reply.required_score)) reply.required_score = 0;
    reply.subject = text_of(read, "subject").substr(0, kSubjectOctets);
    if (const auto messages = read.find("messages"); messages != read.end() && messages->is_object())
        reply.message = reply_text(text_of(*messages, "smtp_message"));
    if (const auto milter = read.find("milter"); milter != read.end() && milter->is_object())
        read_milter_part(reply, *milter);
    if (const auto signature = read.find("dkim-signature"); signature != read.end())
        add_header(reply, "DKIM-Signature", *signature);
    return reply;
}

}  // namespace poplar::inspection
