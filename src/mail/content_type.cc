// Reads as much of a Content-Type as a message's structure needs (RFC 2045 s5.1).
#include "mail/content_type.h"

#include <algorithm>

#include "base/ascii.h"

namespace poplar::mail {
namespace {

using ascii::same;

bool is_space(char c) { return ascii::is_wsp(c) || c == '\r' || c == '\n'; }
bool is_separator(char c) { return is_space(c) || c == ';' || c == '=' || c == '(' || c == '"'; }

/// Words, quoted-strings and single separators; comments and white space are passed over.
class Reader {
public:
    explicit Reader(std::string_view in) : in_(in) {}

    bool at_end() {
        skip();
        return in_.empty();
    }
    bool take(char c) {
        skip();
        if (!in_.starts_with(c)) return false;
        in_.remove_prefix(1);
        return true;
    }
    std::string_view word() {
        skip();
        const auto size = static_cast<std::size_t>(std::ranges::find_if(in_, is_separator) - in_.begin());
        const auto word = in_.substr(0, size);
        in_.remove_prefix(size);
        return word;
    }
    /// Puts what a word or quoted-string stands for into `out`. False: it has more octets than `out`, or none.
    bool value(std::array<char, ContentType::kMaxBoundary>& out, std::uint8_t& size) {
        std::size_t count = 0;
        const auto add = [&](char c) {
            if (count < out.size()) out[count] = c;
            ++count;
        };
        if (take('"')) {
            bool closed = false;
            while (!in_.empty() && !closed) {
                char c = in_.front();
                in_.remove_prefix(1);
                if (c == '"') {
                    closed = true;
                } else if (c == '\\' && !in_.empty()) {
                    add(in_.front());
                    in_.remove_prefix(1);
                } else {
                    add(c);
                }
            }
        } else {
            for (char c : word()) add(c);
        }
        if (count == 0 || count > out.size()) return false;
        size = static_cast<std::uint8_t>(count);
        return true;
    }
    void skip_one() { in_.remove_prefix(std::min<std::size_t>(1, in_.size())); }

private:
    void skip() {
        while (!in_.empty()) {
            if (is_space(in_.front())) {
                in_.remove_prefix(1);
            } else if (in_.front() == '(') {
                std::size_t i = 0;
                for (int depth = 0; i < in_.size(); ++i) {
                    if (in_[i] == '\\')
                        ++i;
                    else if (in_[i] == '(')
                        ++depth;
                    else if (in_[i] == ')' && --depth == 0)
                        break;
                }
                in_.remove_prefix(std::min(i + 1, in_.size()));
            } else {
                return;
            }
        }
    }
    std::string_view in_;
};

/// RFC 2046 s5.1.1; and any octets over 0x7f, which some mailers put there.
bool is_boundary(std::string_view text) {
    return text.back() != ' ' && std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

}  // namespace

ContentType parse_content_type(std::string_view value) {
    using Kind = ContentType::Kind;
    ContentType type;
    Reader in(value);
    const auto name = in.word();
    if (same(name, "message/rfc822") || same(name, "message/global")) {
        type.kind = Kind::message;
    } else if (same(name, "message/delivery-status") || same(name, "message/global-delivery-status") ||
               same(name, "message/disposition-notification") ||
               same(name, "message/global-disposition-notification") || same(name, "text/rfc822-headers") ||
               same(name, "message/global-headers")) {
        type.kind = Kind::fields;
    } else if (ascii::starts_with(name, "multipart/")) {
        while (!in.at_end()) {
            if (!in.take(';')) {
                in.skip_one();
                continue;
            }
            const auto parameter = in.word();
            if (!in.take('=')) continue;
            if (!same(parameter.substr(0, parameter.find('*')), "boundary")) {
                ContentType passed_over;
                in.value(passed_over.boundary_octets, passed_over.boundary_size);
                continue;
            }
            // The first one counts. In RFC 2231's form nobody sends it, and something behind the value is no boundary.
            if (!parameter.contains('*') && in.value(type.boundary_octets, type.boundary_size) &&
                is_boundary(type.boundary()) && (in.at_end() || in.take(';')))
                type.kind = same(name, "multipart/digest")   ? Kind::digest
                            : same(name, "multipart/signed") ? Kind::signed_multipart
                                                             : Kind::multipart;
            else
                type.boundary_size = 0;
            break;
        }
    }
    return type;
}

}  // namespace poplar::mail
