#pragma once
// Writing header fields in ASCII: folding (RFC 5322 s2.2.3) and encoded-words (RFC 2047).
#include <cstddef>
#include <string>
#include <string_view>

namespace poplar::mail {

/// True if an octet is over 0x7f.
bool has_8bit(std::string_view text);

/// Builds one header field. Lines are folded before white space once they would have more than 76 octets (RFC 2047 s2:
/// the most that a line with an encoded-word may have); a longer word stands alone.
class FieldWriter {
public:
    /// `name` with its colon.
    explicit FieldWriter(std::string_view name) : out_(name), column_(name.size()) {}

    /// White space (may be none) and a word, as they are.
    void word(std::string_view wsp, std::string_view word);
    /// `text` with the white space in it; white space at its end is left out.
    void words(std::string_view text);
    /// `lead`, white space that "(" may follow, and `text`, which is UTF-8, as encoded-words of at most 75 octets, none
    /// of which cuts a character in two. Readers drop the white space between two encoded-words (RFC 2047 s6.2): what
    /// stands behind another one begins with a space of its own.
    void encoded(std::string_view lead, std::string_view text);
    /// `text` word by word: encoded from the first word that is not ASCII to the last one near it.
    void unstructured(std::string_view text);

    /// Whether the last word is an encoded-word.
    bool after_encoded() const { return after_encoded_; }
    std::string finish() && { return std::move(out_) + "\r\n"; }

private:
    void fold();
    std::string out_;
    std::size_t column_;
    bool after_encoded_ = false;
    bool line_encoded_ = false;  // this line has an encoded-word
};

}  // namespace poplar::mail
