#pragma once
// The words of APPEND and REPLACE between the octets of their messages (RFC 9051 s6.3.12, RFC 3502, RFC 4469, RFC 8508,
// RFC 9755), which are read a text at a time, because the octets of messages are never part of a command's text.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "imap/cursor.h"
#include "imap/section.h"

namespace poplar::imap {

/// One step of the command.
struct AppendStep {
    enum class Kind : std::uint8_t {
        message,      ///< a message begins
        url,          ///< the octets that `url` names are next in it
        octets,       ///< so are those that the client sends now: the text ends here
        message_end,  ///< it has all of its octets
        command_end,
    };
    Kind kind = Kind::message;
    std::optional<std::vector<std::string>> flags = {};  ///< of a message: as the client names them
    std::optional<Timestamp> received = {};              ///< of a message
    std::string url = {};
    bool operator==(const AppendStep&) const = default;
};

class AppendGrammar {
public:
    /// `one`: REPLACE, which has one message.
    enum class Messages : std::uint8_t { any, one };
    explicit AppendGrammar(Messages messages) : messages_(messages) {}

    /// Takes a text: the first is what follows the mailbox's name, each other what follows octets. `octets_follow`: a
    /// literal does, which is a message's or a part of one. Nothing: it is not of the grammar, and then nothing is
    /// known of what follows.
    std::optional<std::vector<AppendStep>> read(std::string_view text, bool octets_follow);

private:
    enum class At : std::uint8_t { beginning, behind_octets, behind_utf8, behind_part };
    Messages messages_;
    At at_ = At::beginning;
};

/// Takes all of a command up to its first message's options. Nothing: it is no command that has messages.
std::optional<AppendGrammar> parse_append_begin(Cursor& in);

/// A message of one's own, or a part of it, by its URL (RFC 5092): `/Drafts;UIDVALIDITY=3/;UID=20/;SECTION=1.MIME`.
struct MessageUrl {
    static constexpr std::size_t kLongest = 16 * 1024;  ///< octets of a URL
    std::optional<std::string> mailbox = {};            ///< in UTF-8; nothing: the selected one
    std::optional<std::uint32_t> uid_validity = {};
    std::uint32_t uid = 0;
    Section section = {};
    std::optional<Partial> partial = {};
    bool operator==(const MessageUrl&) const = default;
};
/// Relative URLs alone: `/mailbox/;UID=1`, or `;UID=1` in the selected mailbox. Any octets are allowed.
std::optional<MessageUrl> parse_message_url(std::string_view text);

}  // namespace poplar::imap
