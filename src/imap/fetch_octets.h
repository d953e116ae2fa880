#pragma once
// FETCH's items that need octets of the message, written as these come: a large body is never in memory as a whole.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "imap/fetch_items.h"
#include "imap/section.h"
#include "imap/text_form.h"
#include "mail/decode.h"
#include "mail/structure.h"
#include "mail/wire_form.h"

namespace poplar::imap {

/// Writes one item: start(), then feed() the message until it is done. If the message's octets end before that, the
/// session can only end, because a literal's size was told already; an intact store never does so.
///
///     ItemWriter writer(item, structure, form);
///     if (writer.unknown_encoding()) ...                        // NO [UNKNOWN-CTE]
///     auto next = writer.start(out);
///     while (next != ItemWriter::Next::done) {                  // once, or twice for decoded parts
///         reader from the message's beginning; at = 0;
///         for each chunk: { next = writer.feed(at, chunk, out); at += chunk.size(); if (next != more) break; write
///         out; }
///     }
class ItemWriter {
public:
    /// Octets of a header that are looked through for fields, and of a text that a preview is made from.
    static constexpr std::size_t kMostOfHeader = 16u << 20;
    static constexpr std::size_t kMostOfText = 64u * 1024;

    /// An item of FETCH's answer; or its octets alone, without a name and a size in front of them (RFC 4469 s3).
    enum class Form : std::uint8_t { answer, octets };
    /// All must outlive it.
    ItemWriter(const FetchItem& item, const mail::Structure& structure, TextForm form, Form whole = Form::answer);

    /// The message has such a section.
    bool exists() const { return exists_; }
    /// Octets that it may write in Form::octets, at most.
    std::uint64_t most() const;

    /// RFC 3516 s4.3: the part's transfer encoding is not known, so that it can't be decoded.
    bool unknown_encoding() const { return unknown_encoding_; }

    enum class Next : std::uint8_t {
        more,   ///< it wants the octets that follow
        again,  ///< it wants the message once more from begin() on: the size is known now
        done,
    };
    /// Appends what can be said before any octet.
    Next start(std::string& out);
    /// The octets that it wants, of the message in wire form: others need not be fed.
    std::uint64_t begin() const { return extent_.begin; }
    std::uint64_t end() const { return extent_.end; }
    /// Takes the octets of the message that begin at `offset`; those that it does not want are passed over. `out` grows
    /// by the octets fed and a little; of fields and previews, by all they have.
    Next feed(std::uint64_t offset, std::string_view wire, std::string& out);

private:
    enum class How : std::uint8_t { stream, decode_size, decode, fields, preview };

    void write_name(std::string& out) const;
    std::uint64_t begin_partial(std::uint64_t octets);
    void write_literal_head(std::string& out, std::uint64_t octets) const;
    void pass_on(std::string_view octets, std::string& out);
    Next finish_gathered(std::string& out);

    const FetchItem& item_;
    const mail::Structure& structure_;
    const TextForm form_;
    const Form whole_;
    How how_ = How::stream;
    bool exists_ = false, unknown_encoding_ = false;
    Section::What what_ = Section::What::whole;
    std::size_t part_ = 0;  // in the structure
    Extent extent_;
    mail::WireDecoder wire_;
    std::optional<mail::TransferEncoding> transfer_;
    std::optional<mail::TransferDecoder> decoder_;
    std::string plain_, scratch_, gathered_;
    std::uint64_t skip_ = 0, left_ = 0;  // of the octets that come out: before the partial, and in it
    std::uint64_t decoded_ = 0;          // octets that came out of decoding so far
};

/// RFC 8970: the beginning of a text as people read it, at most 200 characters, without line ends.
std::string preview_of(std::string_view text);

}  // namespace poplar::imap
