#pragma once
// The words of the language as a table: capabilities, commands and tests with their arguments. The checker reads it.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace poplar::sieve {

/// An extension that a script may name in `require`. The values are bits of Capabilities.
enum class Capability : std::uint8_t {
    ascii_casemap,
    ascii_numeric,
    octet,
    unicode_casemap,
    body,
    copy,
    date,
    duplicate,
    editheader,
    enclose,
    encoded_character,
    enotify,
    envelope,
    envelope_deliverby,
    envelope_dsn,
    environment,
    ereject,
    extlists,
    extracttext,
    fcc,
    fileinto,
    foreverypart,
    ihave,
    imap4flags,
    include,
    index,
    mailbox,
    mailboxid,
    mboxmetadata,
    mime,
    redirect_deliverby,
    redirect_dsn,
    regex,
    reject,
    relational,
    replace,
    servermetadata,
    spamtest,
    spamtestplus,
    special_use,
    subaddress,
    vacation,
    vacation_seconds,
    variables,
    virustest,
};

/// A set of capabilities.
class Capabilities {
public:
    constexpr Capabilities() = default;
    constexpr void add(Capability one) { bits_ |= bit(one); }
    constexpr void add(Capabilities others) { bits_ |= others.bits_; }
    constexpr bool has(Capability one) const { return (bits_ & bit(one)) != 0; }
    constexpr bool has_all(Capabilities others) const { return (others.bits_ & ~bits_) == 0; }
    constexpr bool has_any(Capabilities others) const { return (others.bits_ & bits_) != 0; }
    constexpr bool empty() const { return bits_ == 0; }
    constexpr Capabilities without(Capabilities others) const { return Capabilities(bits_ & ~others.bits_); }
    bool operator==(const Capabilities&) const = default;

private:
    constexpr explicit Capabilities(std::uint64_t bits) : bits_(bits) {}
    static constexpr std::uint64_t bit(Capability one) { return std::uint64_t(1) << static_cast<unsigned>(one); }
    std::uint64_t bits_ = 0;
};

std::optional<Capability> find_capability(std::string_view name);
std::string_view name_of(Capability capability);
/// Those of `set`, as `"a" or "b"`.
std::string names_of(Capabilities set);
/// All, by name, as ManageSieve tells them; the comparators that need no `require` are left out.
std::vector<std::string_view> capability_names();

enum class Op : std::uint8_t {
    // Control.
    require,
    if_,
    elsif,
    else_,
    stop,
    include,
    return_,
    global,
    error,
    foreverypart,
    break_,
    // Actions.
    keep,
    discard,
    fileinto,
    redirect,
    reject,
    ereject,
    vacation,
    notify,
    set,
    setflag,
    addflag,
    removeflag,
    addheader,
    deleteheader,
    replace,
    enclose,
    extracttext,
    // Tests.
    true_,
    false_,
    not_,
    anyof,
    allof,
    address,
    envelope,
    exists,
    header,
    size,
    string,
    hasflag,
    body,
    date,
    currentdate,
    duplicate,
    environment,
    ihave,
    mailboxexists,
    mailboxidexists,
    specialuse_exists,
    metadata,
    metadataexists,
    servermetadata,
    servermetadataexists,
    spamtest,
    virustest,
    valid_notify_method,
    notify_method_capability,
    valid_ext_list,
    /// A word that nobody knows, in a script that may have asked `ihave` for it. Running it is an error.
    unknown,
};

/// The names of tagged arguments that the interpreter asks for.
enum class Tag : std::uint8_t {
    addresses,
    all,
    anychild,
    bymode,
    bytimeabsolute,
    bytimerelative,
    bytrace,
    comparator,
    contains,
    content,
    contenttype,
    copy,
    count,
    create,
    days,
    detail,
    domain,
    encodeurl,
    fcc,
    first,
    flags,
    from,
    global,
    handle,
    header,
    headers,
    importance,
    index,
    is,
    last,
    length,
    list,
    localpart,
    lower,
    lowerfirst,
    mailboxid,
    matches,
    message,
    mime,
    name,
    notify,
    once,
    optional,
    options,
    originalzone,
    over,
    param,
    percent,
    personal,
    quoteregex,
    quotewildcard,
    raw,
    regex,
    ret,
    seconds,
    specialuse,
    subject,
    subtype,
    text,
    type,
    under,
    uniqueid,
    upper,
    upperfirst,
    user,
    value,
    zone,
};

enum class Takes : std::uint8_t { nothing, number, string, list };

/// A tagged argument of one command.
struct TagRow {
    Tag tag;
    std::string_view name;  ///< without the colon
    Takes takes = Takes::nothing;
    Capabilities needs;      ///< one of them, beside the command's own
    std::string_view group;  ///< only one of a group may be given; "": of none
};

/// A positional argument.
struct PositionalRow {
    Takes takes = Takes::string;
    bool optional = false;
    bool constant = false;  ///< no variables are expanded in it, and using one is an error
};

struct CommandRow {
    enum class Kind : std::uint8_t { control, action, test };
    std::string_view name;
    Op op;
    Kind kind;
    Capabilities needs;  ///< one of them; none: it is always there
    std::vector<TagRow> tags;
    std::vector<PositionalRow> positional;
    enum class Tests : std::uint8_t { none, one, several } tests = Tests::none;
    bool block = false;
};

/// The command or test as a script has it; "" of Op::unknown.
std::string_view name_of(Op op);
/// Null: there is no such command or test.
const CommandRow* find_command(std::string_view name);

}  // namespace poplar::sieve
