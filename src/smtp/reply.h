#pragma once
// One SMTP reply (RFC 5321 s4.2) with its enhanced status code (RFC 3463). Every reply that the server ever says is
// listed here, so that the codes can be compared at a glance; rfcs.md says which rule each comes from.
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::smtp {

struct Reply {
    int code = 0;
    std::string_view status;  ///< "5.1.1"; empty where RFC 2034 s4 wants none (greeting, EHLO, 354)
    std::string_view text;
    bool positive() const { return code < 400; }
    bool temporary() const { return code >= 400 && code < 500; }
    bool operator==(const Reply&) const = default;
};

/// `550 5.1.1 No such user here\r\n`; `more` is appended to the text.
std::string format(const Reply& reply, std::string_view more = {});
void append(std::string& to, const Reply& reply, std::string_view more = {});
/// With a text of several lines in place of its own, as a reply of several lines (RFC 5321 s4.2.1); long ones are cut
/// in several. The text is ASCII.
void append_lines(std::string& to, const Reply& reply, std::string_view text);

namespace replies {

// Success.
inline constexpr Reply kOk{250, "2.0.0", "Ok"};
inline constexpr Reply kStored{250, "2.0.0", "Ok: stored as "};
inline constexpr Reply kChunk{250, "2.0.0", "Ok: octets received: "};
inline constexpr Reply kSender{250, "2.1.0", "Sender ok"};
inline constexpr Reply kRecipient{250, "2.1.5", "Recipient ok"};
inline constexpr Reply kBye{221, "2.0.0", "Bye"};
inline constexpr Reply kReadyForTls{220, "2.0.0", "Ready to start TLS"};
inline constexpr Reply kGoAhead{354, "", "End data with <CR><LF>.<CR><LF>"};
inline constexpr Reply kHelp{214, "2.0.0", "RFC 5321 has the commands; EHLO lists the extensions"};
inline constexpr Reply kCannotVerify{252, "2.0.0", "Not telling, but mail for a user here is accepted"};  // s3.5.3

// Logins (RFC 4954 s6).
inline constexpr Reply kLoggedIn{235, "2.7.0", "Authentication successful"};
inline constexpr Reply kWrongLogin{535, "5.7.8", "Wrong name or password"};
inline constexpr Reply kNeedsFactor{535, "5.7.8", ""};  // its text says which factor is missing
inline constexpr Reply kLoginUnavailable{454, "4.7.0", "Can't check that now, try again later"};
inline constexpr Reply kLoginNeeded{530, "5.7.0", "Log in first"};
inline constexpr Reply kLoginNeedsTls{538, "5.7.11", "Use STARTTLS first: no passwords in the clear"};
inline constexpr Reply kNeedsCertificate{534, "5.7.9", "This mechanism needs a client certificate with a mail address"};
inline constexpr Reply kUnknownMechanism{504, "5.5.4", "Unknown mechanism"};
inline constexpr Reply kBadResponse{501, "5.5.2", "Not a valid response for this mechanism"};
inline constexpr Reply kNotBase64{501, "5.5.2", "Not valid base64"};
inline constexpr Reply kLoginCancelled{501, "5.7.0", "Cancelled"};
inline constexpr Reply kResponseTooLong{500, "5.5.6", "Line too long"};
inline constexpr Reply kLoggedInAlready{503, "5.5.1", "You are logged in already"};
inline constexpr Reply kNoLoginHere{502, "5.5.1", "Nobody logs in here: use the port for submission"};
inline constexpr Reply kAccountChanged{454, "4.7.0", "The account has changed, log in again"};

// Commands that can't be obeyed.
inline constexpr Reply kLineTooLong{500, "5.5.2", "Line too long"};                  // RFC 5321 s4.5.3.1.9
inline constexpr Reply kBareLineEnd{500, "5.5.2", "Commands must end in <CR><LF>"};  // RFC 5321 s2.3.8
inline constexpr Reply kUnknownCommand{500, "5.5.2", "Command not recognized"};
inline constexpr Reply kNotImplemented{502, "5.5.1", "Command not implemented"};
inline constexpr Reply kSayEhlo{500, "5.5.1", "This is SMTP: say EHLO"};
inline constexpr Reply kSayLhlo{500, "5.5.1", "This is LMTP: say LHLO"};  // RFC 2033 s4.1
inline constexpr Reply kBadArgument{501, "5.5.4", "Syntax error in the argument"};
inline constexpr Reply kNoArgument{501, "5.5.4", "No argument allowed"};
inline constexpr Reply kBadParameter{501, "5.5.4", "Syntax error in a parameter"};
inline constexpr Reply kUnknownParameter{555, "5.5.4", "Parameter not recognized"};  // RFC 5321 s4.1.1.11
inline constexpr Reply kUnsupportedValue{504, "5.5.4", "Parameter value not implemented"};
inline constexpr Reply kBadSender{501, "5.1.7", "Bad sender address"};
inline constexpr Reply kBadRecipient{501, "5.1.3", "Bad recipient address"};
inline constexpr Reply kNoHelo{503, "5.5.1", "Introduce yourself first"};
inline constexpr Reply kNestedMail{503, "5.5.1", "Sender already given"};
inline constexpr Reply kNoMail{503, "5.5.1", "Say MAIL first"};
inline constexpr Reply kNoRecipients{503, "5.5.1", "No valid recipients"};
inline constexpr Reply kMidChunks{503, "5.5.1", "In the middle of BDAT chunks"};  // RFC 3030 s2
inline constexpr Reply kTlsActive{503, "5.5.1", "TLS is on already"};
inline constexpr Reply kXclientDenied{550, "5.7.0", "You may not speak for others"};
inline constexpr Reply kNoTls{502, "5.5.1", "TLS is not offered"};

// Envelopes that are refused.
inline constexpr Reply kSenderNeedsUtf8{550, "5.6.7", "Say SMTPUTF8 to use this address"};     // RFC 6531 s3.5
inline constexpr Reply kRecipientNeedsUtf8{553, "5.6.7", "Say SMTPUTF8 to use this address"};  // RFC 6531 s3.5
inline constexpr Reply kListed{554, "5.7.1", "Your address is on the list "};
inline constexpr Reply kUnknownUser{550, "5.1.1", "No such user here"};
inline constexpr Reply kNoRelay{550, "5.7.1", "Relaying denied"};
inline constexpr Reply kDisabled{550, "5.2.1", "Mailbox disabled"};
inline constexpr Reply kAliasLoop{451, "4.3.5", "Aliases of this address lead in a circle"};
inline constexpr Reply kNotYourAddress{550, "5.7.1", "You may not send as this address"};
inline constexpr Reply kSendingLimit{450, "4.7.1", "You have sent too much, try again later"};
inline constexpr Reply kHoldTooLong{501, "5.5.4", "Mail is not held so long"};  // RFC 4865 s5
inline constexpr Reply kNoHoldHere{550, "5.3.3", "Mail to this address can't be held back: send it without that"};
inline constexpr Reply kNoQueue{451, "4.3.5", "Mail can't leave this server now"};
inline constexpr Reply kTooManyRecipients{452, "4.5.3", "Too many recipients"};  // RFC 5321 s4.5.3.1.10

// Messages that are refused.
inline constexpr Reply kTooLarge{552, "5.3.4", "Message too large"};  // RFC 1870 s6
inline constexpr Reply kMailboxFull{552, "5.2.2", "Mailbox full"};    // RFC 3463 s3.3
inline constexpr Reply kMailboxFullNow{452, "4.2.2", "Mailbox full, try later"};
inline constexpr Reply kRejected{550, "5.7.1", "Message refused"};  // RFC 5321 s3.6.2, RFC 3463 s3.8
inline constexpr Reply kComeAgain{451, "4.7.1", "You are not known here yet, come again in some minutes"};
inline constexpr Reply kNoSpace{452, "4.3.1", "Out of storage, try later"};
inline constexpr Reply kTrouble{451, "4.3.0", "Storage trouble, try later"};
inline constexpr Reply kStopping{451, "4.3.2", "Stopping, try later"};
inline constexpr Reply kLoop{554, "5.4.6", "Too many hops: mail loop"};  // RFC 5321 s6.3
inline constexpr Reply kBareNewline{554, "5.6.0", "Lines must end in <CR><LF>"};
inline constexpr Reply kBadHeader{554, "5.6.0", "Header too large"};

// Goodbyes that the client didn't ask for (RFC 5321 s3.8).
inline constexpr Reply kShutdown{421, "4.3.2", "Shutting down, try later"};
inline constexpr Reply kTimeout{421, "4.4.2", "Timeout"};
inline constexpr Reply kTooManyLogins{421, "4.7.0", "Too many wrong logins"};
inline constexpr Reply kTooManyErrors{421, "4.7.0", "Too many errors"};
inline constexpr Reply kTooManyUnknown{421, "4.7.0", "Too many unknown recipients"};
inline constexpr Reply kTooManyRefused{421, "4.7.0", "Too many refused recipients"};
inline constexpr Reply kTooManyMessages{421, "4.7.0", "Too many messages, connect again"};
inline constexpr Reply kSuspicious{421, "4.7.0", "Bare newlines were seen, connect again"};
inline constexpr Reply kTooMuchIdling{421, "4.7.0", "Too many commands without a message"};
inline constexpr Reply kTooEarly{554, "5.5.1", "You spoke before the greeting"};  // in its place, RFC 5321 s3.1
inline constexpr Reply kNotHttp{421, "4.7.0", "This is not a web server"};
inline constexpr Reply kLostChunk{421, "4.5.4", "Chunk of unknown size"};
inline constexpr Reply kFailure{421, "4.3.0", "Internal failure, try later"};

}  // namespace replies

}  // namespace poplar::smtp
