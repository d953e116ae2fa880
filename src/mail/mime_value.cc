#include "mail/mime_value.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/ascii.h"
#include "mail/charset.h"
#include "mail/header_walk.h"

namespace poplar::mail {

namespace {

bool is_token(char c) {
    return c > 0x20 && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

class ValueReader {
public:
    explicit ValueReader(std::string_view text) : rest_(text) {}

    bool at(char c) {
        skip();
        return !rest_.empty() && rest_.front() == c;
    }
    bool take(char c) {
        if (!at(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool done() {
        skip();
        return rest_.empty();
    }
    std::string token() {
        skip();
        std::size_t size = 0;
        while (size < rest_.size() && (is_token(rest_[size]) || static_cast<unsigned char>(rest_[size]) >= 0x80))
            ++size;
        std::string out(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return out;
    }
    /// A quoted string; or what stands up to the next ";" where mailers forget the quotes.
    std::string value() {
        skip();
        std::string out;
        if (!rest_.starts_with('"')) {
            const auto end = std::min(rest_.find(';'), rest_.size());
            auto text = ascii::trim(rest_.substr(0, end));
            if (const auto comment = text.find(" ("); comment != std::string_view::npos) text = text.substr(0, comment);
            rest_.remove_prefix(end);
            return std::string(text);
        }
        std::size_t i = 1;
        for (; i < rest_.size() && rest_[i] != '"'; ++i) {
            if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
            out += rest_[i];
        }
        rest_.remove_prefix(std::min(i + 1, rest_.size()));
        return out;
    }
    void pass(char c) { rest_.remove_prefix(std::min(rest_.find(c), rest_.size())); }

private:
    void skip() {
        while (!rest_.empty()) {
            if (rest_.front() == '(') {
                std::size_t depth = 0, i = 0;
                for (; i < rest_.size(); ++i) {
                    if (rest_[i] == '\\') {
                        ++i;
                    } else if (rest_[i] == '(') {
                        ++depth;
                    } else if (rest_[i] == ')' && --depth == 0) {
                        break;
                    }
                }
                rest_.remove_prefix(std::min(i + 1, rest_.size()));
            } else if (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\r' ||
                       rest_.front() == '\n') {
                rest_.remove_prefix(1);
            } else {
                break;
            }
        }
    }
    std::string_view rest_;
};

int hex(char c) {
    if (ascii::is_digit(c)) return c - '0';
    const char l = ascii::lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::string decode_percent(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    return out;
}

/// The pieces of a parameter that RFC 2231 cuts in several.
struct Pieces {
    struct Piece {
        std::string text;
        bool encoded;
    };
    std::map<unsigned, Piece> numbered;

    std::string join() const {
        std::string out, charset;
        unsigned expected = 0;
        bool any_encoded = false;
        for (const auto& [number, piece] : numbered) {
            if (number != expected++) break;
            std::string_view text = piece.text;
            if (piece.encoded && number == 0) {
                const auto first = text.find('\''), second = text.find('\'', first + 1);
                if (first != std::string_view::npos && second != std::string_view::npos) {
                    charset = text.substr(0, first);
                    text.remove_prefix(second + 1);
                }
            }
            any_encoded |= piece.encoded;
            out += piece.encoded ? decode_percent(text) : std::string(text);
        }
        if (any_encoded && !charset.empty())
            if (auto converted = to_utf8(charset, out)) return std::move(*converted);
        return out;
    }
};

constexpr std::size_t kMostParameters = 100;  // of a field; a parameter has at most 1000 pieces

void read_parameters(ValueReader& reader, MimeValue& out) {
    std::map<std::string, Pieces> pieces;
    std::vector<std::string> order;
    while (!reader.done() && out.parameters.size() + order.size() < kMostParameters) {
        if (!reader.take(';')) {
            reader.pass(';');
            continue;
        }
        auto name = ascii::to_lower(reader.token());
        if (name.empty() || !reader.take('=')) continue;
        auto value = reader.value();
        const auto star = name.find('*');
        if (star == std::string::npos) {
            if (value.find("=?") != std::string::npos) value = decode_for_display(value);
            out.parameters.push_back({std::move(name), std::move(value)});
            continue;
        }
        auto rest = std::string_view(name).substr(star + 1);
        const bool encoded = rest.empty() || rest.ends_with('*');
        if (rest.ends_with('*')) rest.remove_suffix(1);
        if (rest.size() > 3 || !std::ranges::all_of(rest, ascii::is_digit)) continue;
        unsigned number = 0;
        for (const char c : rest) number = number * 10 + static_cast<unsigned>(c - '0');
        auto base = name.substr(0, star);
        if (!pieces.contains(base)) order.push_back(base);
        pieces[base].numbered.emplace(number, Pieces::Piece{std::move(value), encoded});
    }
    for (const auto& name : order) {
        std::erase_if(out.parameters, [&](const auto& one) { return one.name == name; });  // RFC 2231 wins
        out.parameters.push_back({name, pieces[name].join()});
    }
}

void read_raw_parameters(ValueReader& reader, MimeValue& out) {
    while (!reader.done() && out.parameters.size() < kMostParameters) {
        if (!reader.take(';')) {
            reader.pass(';');
            continue;
        }
        auto name = reader.token();
        if (!name.empty() && reader.take('=')) out.parameters.push_back({std::move(name), reader.value()});
    }
}

enum class Form : std::uint8_t { decoded, raw };

std::optional<MimeValue> parse(std::string_view value, Form form) {
    ValueReader reader(value);
    MimeValue out;
    out.type = reader.token();
    if (out.type.empty()) return std::nullopt;
    if (reader.take('/')) {
        out.subtype = reader.token();
        if (out.subtype.empty()) return std::nullopt;
    }
    if (form == Form::raw) {
        read_raw_parameters(reader, out);
        return out;
    }
    for (auto* name : {&out.type, &out.subtype}) *name = ascii::to_lower(*name);
    read_parameters(reader, out);
    return out;
}

}  // namespace

const std::string* MimeValue::parameter(std::string_view name) const {
    for (const auto& one : parameters)
        if (ascii::same(one.name, name)) return &one.value;
    return nullptr;
}

std::optional<MimeValue> parse_mime_value(std::string_view value) { return parse(value, Form::decoded); }
std::optional<MimeValue> parse_raw_mime_value(std::string_view value) { return parse(value, Form::raw); }

}  // namespace poplar::mail
