#pragma once
// SEARCH programs: read (RFC 9051 s6.4.4, RFC 3501 s6.4.4; RFC 5032, RFC 7162 s3.1.5, RFC 8474 s6, RFC 8514 s4.3), and
// held against messages by what is known of them so far.
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "imap/cursor.h"
#include "imap/sequence_set.h"
#include "mail/structure.h"

namespace poplar::imap {

class MessageText;

/// The facts that a key needs, cheapest first.
enum class SearchCost : std::uint8_t {
    list,       ///< number, UID, flags, mod-sequence: in memory
    record,     ///< internal date, size, save date, email id
    thread,     ///< thread id
    structure,  ///< the structure row: Date, From, Subject, ...
    header,     ///< the header's octets: fields that no structure row has
    text,       ///< the message's octets, decoded: work for the pool
};

/// System flags as SearchFacts::flags has them: mailstore::Flag.
inline constexpr std::uint8_t kSeenFlag = 1, kAnsweredFlag = 2, kFlaggedFlag = 4, kDeletedFlag = 8, kDraftFlag = 16;

struct SearchKey {
    enum class Kind : std::uint8_t {
        all,
        conjunction,  ///< all of `keys`
        disjunction,  ///< any of them
        negation,     ///< not the only one
        sequence,     ///< message numbers in `set`
        uid,
        saved_result,  ///< "$" (RFC 5182): UIDs in SearchFacts::saved_result
        flag,          ///< a system flag, `number`: mailstore::Flag's bit
        recent,
        keyword,       ///< `text`
        mod_sequence,  ///< at least `number`
        before,        ///< internal date, its calendar day in UTC, before `day`
        on,
        since,
        saved_before,
        saved_on,
        saved_since,
        save_date_supported,
        younger,  ///< internal date within `number` seconds
        older,
        larger,
        smaller,
        email_id,
        thread_id,
        sent_before,  ///< the Date field, its own zone disregarded
        sent_on,
        sent_since,
        header,  ///< field `field` has `text`; "": it is there
        body,
        text,
    };
    Kind kind = Kind::all;
    SearchCost cost = SearchCost::list;
    std::uint64_t number = 0;
    std::chrono::sys_days day{};
    std::string field = {};                    ///< in lower case
    std::optional<mail::KeptField> kept = {};  ///< of `field`, if structure rows have it
    std::string text = {};                     ///< of header, body and text: in i;unicode-casemap's form
    SequenceSet set = {};
    std::vector<SearchKey> keys = {};
};

struct SearchProgram {
    SearchKey root;                  ///< a conjunction; cheap keys come first everywhere
    bool asks_mod_sequence = false;  ///< RFC 7162 s3.1.5: the answer has MODSEQ
    bool asks_saved_result = false;
    bool asks_numbers = false;           ///< it has message numbers, which must keep their meaning (RFC 9051 s7.5.1)
    SearchCost cost = SearchCost::list;  ///< of the most expensive key
};

struct SearchLimits {
    std::size_t keys = 10'000;  ///< in a program
    std::size_t depth = 50;     ///< of parentheses, NOT and OR
    std::size_t text = 4096;    ///< octets of a string that is looked for
    std::size_t texts = 50;     ///< strings that are looked for in messages' octets
};

/// Why a program is refused.
struct SearchRefusal {
    enum class Why : std::uint8_t {
        bad,      ///< not of the grammar: BAD
        charset,  ///< NO [BADCHARSET (...)]
        limit,    ///< NO [LIMIT]
    };
    Why why = Why::bad;
    std::string text;
};

/// As BADCHARSET lists them.
inline constexpr std::string_view kSearchCharsets = "UTF-8 US-ASCII";

/// Takes `[CHARSET x SP] key *(SP key)` up to the end of what there is. `in_charset`: of a command that has said it
/// already (SORT, THREAD); then "CHARSET" is no word here.
std::expected<SearchProgram, SearchRefusal> parse_search(Cursor& in, const SearchLimits& limits,
                                                         std::optional<std::string> in_charset = {});
/// Gives `*` in sets its meaning. To be called once before the first match().
void resolve(SearchProgram& program, std::uint32_t messages, std::uint32_t greatest_uid);

/// The facts of a message so far; those not known yet are nothing, or null.
struct SearchFacts {
    std::uint32_t number = 0, uid = 0;
    std::uint8_t flags = 0;                              ///< as mailstore::Flags::system
    const std::vector<std::string>* keywords = nullptr;  ///< the message's; null: none
    bool recent = false;
    std::uint64_t mod_sequence = 0;
    const SequenceSet* saved_result = nullptr;  ///< UIDs; null: none
    Timestamp now{};

    struct Record {
        Timestamp received{};
        std::uint64_t octets = 0;
        std::optional<Timestamp> saved = {};
        std::string_view email_id = {};
    };
    std::optional<Record> record = {};
    std::optional<std::string_view> thread_id = {};
    const mail::Structure* structure = nullptr;
    const MessageText* header = nullptr;  ///< one that was fed the header at least
    const MessageText* text = nullptr;    ///< one that was fed all
};

/// An answer, or what has to be known for one.
struct SearchAnswer {
    enum class Is : std::uint8_t { no, yes, unknown };
    Is is = Is::no;
    SearchCost needs = SearchCost::list;  ///< if it is unknown: the cheapest thing that may decide it
};
SearchAnswer match(const SearchProgram& program, const SearchFacts& facts);

/// A message's texts for looking in them: header fields decoded, text parts decoded and in UTF-8, HTML as text, all in
/// i;unicode-casemap's form. Made to be used again for the next message, so that its memory is.
class MessageText {
public:
    /// Octets that are looked at: of a part, and of all header fields together.
    static constexpr std::size_t kMostOfPart = 16u << 20;
    static constexpr std::size_t kMostOfFields = 4u << 20;

    enum class Depth : std::uint8_t { header, all };
    /// Begins with a message; the structure must live until the last octet was fed.
    void begin(const mail::Structure& structure, Depth depth);
    /// Octets in wire form, in order, from the message's first on. False: it needs no more.
    bool feed(std::string_view wire);
    void finish();

    /// Whether a field of the message's own header has `text` in its value; `name` in lower case.
    bool header_has(std::string_view name, std::string_view text) const;
    bool body_has(std::string_view text) const;
    /// Header fields of all parts, and the body.
    bool text_has(std::string_view text) const;

private:
    struct Wanted {
        std::uint64_t begin, end;
        std::size_t part;
        bool header;
    };
    struct Field {
        std::uint32_t name, name_end, value, value_end;  // in names_ and in fields_
    };
    void take(const Wanted& wanted, std::string_view wire);
    void take_header(std::string_view header, std::size_t part);

    const mail::Structure* structure_ = nullptr;
    Depth depth_ = Depth::header;
    std::uint64_t at_ = 0;
    std::vector<Wanted> wanted_;
    std::size_t next_ = 0;          // in wanted_
    std::string gathered_;          // of it, as it came
    std::string plain_, unfolded_;  // scratch
    std::string names_;             // of the message's own fields, in lower case
    std::vector<Field> own_;        // the message's own fields
    std::string fields_, body_;     // a line end between two texts, so that none is found across
    std::string other_fields_;      // those of parts
};

}  // namespace poplar::imap
