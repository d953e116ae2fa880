// header, address, exists, envelope, size, date and currentdate, with :index (RFC 5260) and :mime (RFC 5703 s4).
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/address_list.h"
#include "mail/mime_value.h"
#include "sieve/constants.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

ZonedTime in_zone(ZonedTime time, const Node& node, std::string_view zone, std::chrono::minutes local) {
    if (node.has(Tag::originalzone)) return time;
    time.zone = local;
    if (node.has(Tag::zone))
        if (const auto wanted = parse_zone(zone)) time.zone = *wanted;
    return time;
}

}  // namespace

std::size_t Machine::current_part() const {
    if (!frame().loops.empty()) return frame().loops.back().part;
    return frame().root;
}

const std::string& Machine::value_of(const Field& field) {
    auto [place, fresh] = values_.try_emplace(field.raw.data());
    if (fresh) {
        charge(1 + field.raw.size() / 32);
        spend(field.raw.size());
        place->second = field.value();
    }
    return place->second;
}

/// Those that a test looks at: the message's; with :mime those of the part at hand.
const std::vector<Field>& Machine::current_fields(const Node& node, std::vector<Field>& storage) {
    const auto part = node.has(Tag::mime) ? current_part() : frame().root;
    if (part == 0) return message_.fields();
    const auto& parts = message_.parts();
    if (part >= parts.size()) return storage;
    charge(1 + (parts[part].body - parts[part].begin) / 64);
    storage = message_.fields_of(parts[part]);
    return storage;
}

/// With :anychild those of all parts below, too.
std::vector<std::vector<Field>> Machine::fields_in_question(const Node& node) {
    std::vector<std::vector<Field>> out;
    std::vector<Field> storage;
    out.push_back(current_fields(node, storage));
    if (!node.has(Tag::anychild)) return out;
    const auto part = current_part();
    const auto& parts = message_.parts();
    for (std::size_t i = part + 1; i < parts.size() && i < parts[part].behind; ++i) {
        charge(2 + (parts[i].body - parts[i].begin) / 64);
        out.push_back(message_.fields_of(parts[i]));
    }
    return out;
}

/// The fields with these names; of several of them, the one that :index and :last ask for.
std::vector<const Field*> Machine::named(const Node& node, const std::vector<Field>& fields,
                                         const std::vector<std::string>& names) const {
    std::vector<const Field*> out;
    for (const auto& name : names)
        for (const auto& field : fields)
            if (ascii::same(field.name, name)) out.push_back(&field);
    const auto* index = node.tag(Tag::index);
    if (!index) return out;
    if (index->number == 0 || index->number > out.size()) return {};
    const auto at = static_cast<std::size_t>(index->number);
    return {node.has(Tag::last) ? out[out.size() - at] : out[at - 1]};
}

bool Machine::header(const Node& node) {
    const auto names = expand(node.arguments[0].strings);
    const auto& keys = node.arguments[1].strings;
    const bool counts = node.match.type == Match::Type::count;
    const bool structured =
        node.has(Tag::type) || node.has(Tag::subtype) || node.has(Tag::contenttype) || node.has(Tag::param);
    const auto* params = node.tag(Tag::param);
    const auto wanted = params ? expand(params->strings) : std::vector<std::string>();
    std::uint64_t count = 0;
    const auto look = [&](const std::vector<Field>& fields) {
        charge(1 + names.size() * fields.size() / 8);
        for (const auto* field : named(node, fields, names)) {
            std::vector<std::string> values;
            if (!structured) {
                if (counts) {
                    ++count;
                    continue;
                }
                if (match_keys(node, value_of(*field), keys)) return true;
                continue;
            }
            const bool type = ascii::same(field->name, "content-type");
            const bool disposition = ascii::same(field->name, "content-disposition");
            charge(2 + field->raw.size() / 16);
            const auto parsed = mail::parse_mime_value(field->unfolded());
            if (params) {
                if (parsed)
                    for (const auto& name : wanted)
                        if (const auto* value = parsed->parameter(name)) values.push_back(*value);
            } else if (!type && !disposition) {
                values.emplace_back();
            } else if (parsed) {
                if (node.has(Tag::subtype))
                    values.push_back(type ? parsed->subtype : "");
                else if (node.has(Tag::contenttype) && type && !parsed->subtype.empty())
                    values.push_back(parsed->type + "/" + parsed->subtype);
                else
                    values.push_back(parsed->type);
            }
            count += values.size();
            if (!counts && match_any(node, values, keys)) return true;
        }
        return false;
    };
    if (!node.has(Tag::anychild)) {
        std::vector<Field> storage;
        if (look(current_fields(node, storage))) return true;
    } else {
        for (const auto& fields : fields_in_question(node))
            if (look(fields)) return true;
    }
    return counts && match_count(node, count, keys);
}

bool Machine::exists(const Node& node) {
    const auto all = fields_in_question(node);
    for (const auto& name : expand(node.arguments[0].strings)) {
        bool found = false;
        for (const auto& fields : all) {
            charge(1 + fields.size() / 8);
            found |= std::ranges::any_of(fields, [&](const Field& field) { return ascii::same(field.name, name); });
        }
        if (!found) return false;
    }
    return true;
}

/// RFC 5228 s2.7.4, RFC 5233. `there`: the address has such a part.
std::string Machine::address_part(const Node& node, std::string_view local, std::string_view domain,
                                  bool& there) const {
    there = true;
    if (node.has(Tag::localpart)) return std::string(local);
    if (node.has(Tag::domain)) return std::string(domain);
    if (node.has(Tag::user) || node.has(Tag::detail)) {
        const auto separator = local.find(job_.environment.detail_separator, 1);
        if (node.has(Tag::user)) return std::string(local.substr(0, separator));
        there = separator != std::string_view::npos;
        return there ? std::string(local.substr(separator + 1)) : std::string();
    }
    return domain.empty() ? std::string(local) : fmt::format("{}@{}", local, domain);
}

bool Machine::address(const Node& node) {
    const auto names = expand(node.arguments[0].strings);
    const auto& keys = node.arguments[1].strings;
    const bool counts = node.match.type == Match::Type::count;
    const bool mime = node.has(Tag::mime);
    std::uint64_t count = 0;
    for (const auto& fields : fields_in_question(node)) {
        charge(1 + names.size() * fields.size() / 8);
        for (const auto* field : named(node, fields, names)) {
            if (!mime && !may_hold_addresses(field->name)) continue;
            charge(2 + field->raw.size() / 2);
            for (const auto& one : mail::parse_address_list(field->unfolded())) {
                charge(15);
                if (counts) {
                    count += one.valid ? 1 : 0;
                    continue;
                }
                bool there = false;
                const auto part = address_part(node, one.local, one.domain, there);
                const bool whole = !node.has(Tag::localpart) && !node.has(Tag::domain) && !node.has(Tag::user) &&
                                   !node.has(Tag::detail);
                if (!there || (!one.valid && !whole)) continue;
                if (match_keys(node, part, keys)) return true;
            }
        }
    }
    return counts && match_count(node, count, keys);
}

bool Machine::envelope(const Node& node) {
    const auto& keys = node.arguments[1].strings;
    const auto& envelope = job_.envelope;
    std::vector<std::string> values;
    std::uint64_t count = 0;
    const auto add = [&](std::string value) {
        values.push_back(std::move(value));
        ++count;
    };
    const auto add_address = [&](const std::string& text) {
        if (text.empty()) {  // RFC 5231 s4.2: it does not count
            values.emplace_back();
            return;
        }
        const auto at = text.rfind('@');
        auto parsed = mail::parse_address(text, mail::Grammar::tolerant);
        const auto local = parsed ? parsed->local : text.substr(0, at);
        const auto domain = parsed ? parsed->domain : at == std::string::npos ? std::string() : text.substr(at + 1);
        bool there = false;
        auto part = address_part(node, local, domain, there);
        ++count;
        if (there) values.push_back(std::move(part));
    };
    for (const auto& name : expand(node.arguments[0].strings)) {
        const auto part = find_envelope_part(name);
        if (!part) fail(node, fmt::format("the envelope has no part \"{}\"", name));
        const auto& by = envelope.deliver_by;
        switch (*part) {
            case EnvelopePart::from: add_address(envelope.from); break;
            case EnvelopePart::to: add_address(envelope.to); break;
            case EnvelopePart::auth:
                if (envelope.auth) add_address(*envelope.auth);
                break;
            case EnvelopePart::notify: std::ranges::for_each(envelope.notify, add); break;
            case EnvelopePart::orcpt:
                if (envelope.orcpt) add(*envelope.orcpt);
                break;
            case EnvelopePart::ret:
                if (envelope.ret) add(*envelope.ret);
                break;
            case EnvelopePart::envid:
                if (envelope.envid) add(*envelope.envid);
                break;
            case EnvelopePart::bytimeabsolute:
                if (by) {
                    ZonedTime time = now();
                    time.time += std::chrono::seconds(by->seconds);
                    add(format(DatePart::iso8601,
                               in_zone(time, node, tag_value(node, Tag::zone), job_.environment.zone)));
                }
                break;
            case EnvelopePart::bytimerelative:
                if (by) add(std::to_string(by->seconds));
                break;
            case EnvelopePart::bymode:
                if (by) add(by->returns ? "return" : "notify");
                break;
            case EnvelopePart::bytrace:
                if (by) add(by->trace ? "trace" : "");
                break;
        }
    }
    return node.match.type == Match::Type::count ? match_count(node, count, keys) : match_any(node, values, keys);
}

bool Machine::size(const Node& node) const {
    if (const auto* over = node.tag(Tag::over)) return job_.message_octets > over->number;
    return job_.message_octets < node.tag(Tag::under)->number;
}

bool Machine::date(const Node& node) {
    std::vector<Field> storage;
    const auto fields = named(node, current_fields(node, storage), {expand_first(node.arguments[0])});
    const auto part = find_date_part(expand_first(node.arguments[1]));
    std::optional<ZonedTime> time;
    if (!fields.empty()) {
        charge(2 + fields.front()->raw.size() / 16);
        time = parse_mail_date(fields.front()->unfolded());
    }
    if (node.match.type == Match::Type::count) return match_count(node, time ? 1 : 0, node.arguments[2].strings);
    if (!time || !part) return false;
    const auto shown = in_zone(*time, node, tag_value(node, Tag::zone), job_.environment.zone);
    return match_any(node, {format(*part, shown)}, node.arguments[2].strings);
}

bool Machine::currentdate(const Node& node) {
    if (node.match.type == Match::Type::count) return match_count(node, 1, node.arguments[1].strings);
    const auto part = find_date_part(expand_first(node.arguments[0]));
    if (!part) return false;
    const auto shown = in_zone(now(), node, tag_value(node, Tag::zone), job_.environment.zone);
    return match_any(node, {format(*part, shown)}, node.arguments[1].strings);
}

}  // namespace poplar::sieve
