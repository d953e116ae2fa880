// A reader of address lists that goes on behind what it can't read: at the next comma.
#include "mail/address_list.h"

#include <array>

#include "base/ascii.h"

namespace poplar::mail {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

constexpr auto kSpecial = [] {
    std::array<bool, 256> special{};
    for (const char c : std::string_view("()<>[]:;@\\,\"")) special[static_cast<unsigned char>(c)] = true;
    return special;
}();
bool is_special(char c) { return kSpecial[static_cast<unsigned char>(c)]; }

/// Words and separators of a structured field.
struct Lexeme {
    enum class Kind : std::uint8_t { end, atom, quoted, literal, special };
    Kind kind = Kind::end;
    std::string text;
    char special = 0;
    bool spaced = false;  ///< white space or a comment stands in front
};

class Reader {
public:
    explicit Reader(std::string_view value) : rest_(value) {}

    std::size_t left() const { return rest_.size(); }
    /// A comment, a quoted string or a literal had no end.
    bool is_cut() const { return is_cut_; }

    Lexeme next() {
        Lexeme out;
        out.spaced = skip();
        if (rest_.empty()) return out;
        const char c = rest_.front();
        if (c == '"') return quoted(std::move(out));
        if (c == '[') {
            const auto end = rest_.find(']');
            if (end == std::string_view::npos) is_cut_ = true;
            out.kind = Lexeme::Kind::literal;
            out.text = rest_.substr(0, end == std::string_view::npos ? end : end + 1);
            rest_.remove_prefix(out.text.size());
            return out;
        }
        if (is_special(c)) {
            out.kind = Lexeme::Kind::special;
            out.special = c;
            rest_.remove_prefix(1);
            return out;
        }
        out.kind = Lexeme::Kind::atom;
        std::size_t size = 0;
        while (size < rest_.size() && !is_space(rest_[size]) && !is_special(rest_[size])) ++size;
        out.text = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }

private:
    bool skip() {
        bool any = false;
        for (; !rest_.empty(); any = true) {
            if (is_space(rest_.front()))
                rest_.remove_prefix(1);
            else if (rest_.front() == '(')
                comment();
            else
                break;
        }
        return any;
    }

    void comment() {
        std::size_t depth = 0, at = 0;
        for (; at < rest_.size(); ++at) {
            if (rest_[at] == '\\')
                ++at;
            else if (rest_[at] == '(')
                ++depth;
            else if (rest_[at] == ')' && --depth == 0)
                break;
        }
        if (at >= rest_.size()) is_cut_ = true;
        rest_.remove_prefix(std::min(at + 1, rest_.size()));
    }

    Lexeme quoted(Lexeme out) {
        out.kind = Lexeme::Kind::quoted;
        std::size_t at = 1;
        for (; at < rest_.size() && rest_[at] != '"'; ++at) {
            if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
            if (rest_[at] != '\r' && rest_[at] != '\n') out.text += rest_[at];
        }
        if (at >= rest_.size()) is_cut_ = true;
        rest_.remove_prefix(std::min(at + 1, rest_.size()));
        return out;
    }

    std::string_view rest_;
    bool is_cut_ = false;
};

class ListReader {
public:
    enum class Groups : std::uint8_t { pass_over, tell };
    ListReader(std::string_view value, std::size_t limit, Groups groups)
        : value_(value), reader_(value), limit_(limit), groups_(groups) {
        step();
    }

    std::vector<ListedAddress> read() {
        while (token_.kind != Lexeme::Kind::end && out_.size() < limit_) {
            if (is(';')) end_group();
            if (is(',') || is(';'))
                step();
            else
                element();
        }
        if (reader_.is_cut() && (out_.empty() || out_.back().valid) && out_.size() < limit_)
            out_.push_back({{}, std::string(value_), {}, false});  // behind the last comma is something without an end
        end_group();
        return std::move(out_);
    }

private:
    using Kind = Lexeme::Kind;

    void step() {
        begin_ = value_.size() - reader_.left();
        token_ = reader_.next();
    }
    bool is(char special) const { return token_.kind == Kind::special && token_.special == special; }
    bool is_word() const { return token_.kind == Kind::atom || token_.kind == Kind::quoted; }
    bool ends() const { return token_.kind == Kind::end || is(',') || is(';'); }
    bool ends_well() const { return ends() && !reader_.is_cut(); }

    /// A mailbox, or a group's name with its colon.
    void element() {
        const auto begin = begin_;
        std::string phrase;  // with spaces as they are shown
        std::string local;   // the same words without spaces
        std::size_t words = 0;
        bool dotted = true;  // each word follows a dot or is followed by one: it may be a local part
        bool after_dot = true;
        while (is_word() || token_.kind == Kind::literal) {  // "[Team] A <a@x.test>", against RFC 5322, is in use
            const bool begins_dot = token_.kind == Kind::atom && token_.text.starts_with('.');
            if (token_.kind == Kind::literal) dotted = false;
            if (words > 0 && !after_dot && !begins_dot) dotted = false;
            if (words > 0 && token_.spaced) phrase += ' ';
            phrase += token_.text;
            local += token_.text;
            after_dot = token_.kind == Kind::atom && token_.text.ends_with('.');
            ++words;
            step();
        }
        if (is('@') && words > 0 && dotted) {
            step();
            add(std::move(local), begin);
        } else if (is('<')) {
            step();
            angle(std::move(phrase), begin, Name::phrase);
        } else if (is(':') && words > 0) {
            step();  // a group: its mailboxes follow as any others do
            begin_group(std::move(phrase));
        } else {
            give_up(begin);
        }
    }

    enum class Name : std::uint8_t { phrase, address };
    void begin_group(std::string name) {
        if (groups_ == Groups::pass_over) return;
        end_group();
        in_group_ = true;
        out_.push_back({std::move(name), {}, {}, true, ListedAddress::Is::group_begins});
    }
    void end_group() {
        if (in_group_) out_.push_back({{}, {}, {}, true, ListedAddress::Is::group_ends});
        in_group_ = false;
    }

    /// RFC 5322 s4.4: a route may stand in front.
    void angle(std::string name, std::size_t begin, Name kind) {
        if (is('@')) {
            while (!is(':') && !is('>') && token_.kind != Kind::end) step();
            if (is(':')) step();
        }
        std::string local;
        bool any = false, joins = true;
        while (is_word()) {
            if (any && !joins && !token_.text.starts_with('.')) return give_up(begin);
            local += token_.text;
            joins = token_.kind == Kind::atom && token_.text.ends_with('.');
            any = true;
            step();
        }
        if (!any || !is('@')) return give_up(begin);
        step();
        auto domain = this->domain();
        if (domain.empty() || !is('>')) return give_up(begin);
        step();
        if (!ends_well()) return give_up(begin);
        if (kind == Name::address && !ascii::same(name, local + "@" + domain)) return give_up(begin);
        out_.push_back({std::move(name), std::move(local), std::move(domain), true});
    }

    std::string domain() {
        std::string text;
        if (token_.kind == Kind::literal) {
            text = std::move(token_.text);
            step();
            return text;
        }
        bool joins = true;
        while (token_.kind == Kind::atom) {
            if (!text.empty() && !joins && !token_.text.starts_with('.')) break;
            text += token_.text;
            joins = token_.text.ends_with('.');
            step();
        }
        return text;
    }

    /// An address, or, before "<", a name that looks like one.
    void add(std::string local, std::size_t begin) {
        auto domain = this->domain();
        if (!domain.empty() && is('<')) {
            step();
            return angle(local + "@" + domain, begin, Name::address);
        }
        if (domain.empty() || !ends_well()) return give_up(begin);
        out_.push_back({{}, std::move(local), std::move(domain), true});
    }

    /// Goes on behind the next comma. What stands in front of it is told as it is.
    void give_up(std::size_t begin) {
        while (!ends()) step();
        auto text = value_.substr(begin, std::min(begin_, value_.size()) - begin);
        while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
        while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
        if (!text.empty()) out_.push_back({{}, std::string(text), {}, false});
    }

    std::string_view value_;
    Reader reader_;
    std::size_t limit_;
    Groups groups_;
    bool in_group_ = false;
    Lexeme token_;
    std::size_t begin_ = 0;  // of the token, white space in front included
    std::vector<ListedAddress> out_;
};

}  // namespace

Result<Address> to_address(const ListedAddress& listed) {
    if (!listed.valid) return fail(Errc::invalid, "no address");
    return parse_address(to_string({listed.local, listed.domain}), Grammar::tolerant);
}

std::vector<ListedAddress> parse_address_list(std::string_view value, std::size_t limit) {
    return ListReader(value, limit, ListReader::Groups::pass_over).read();
}

std::vector<ListedAddress> parse_address_groups(std::string_view value, std::size_t limit) {
    return ListReader(value, limit, ListReader::Groups::tell).read();
}

}  // namespace poplar::mail
