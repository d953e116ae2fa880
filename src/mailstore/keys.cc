#include "mailstore/keys.h"

#include "base/encoding.h"

namespace poplar::mailstore::keys {

namespace {

constexpr std::string_view kMailbox = "M", kMessage = "m", kRetained = "r", kUniqueId = "u", kName = "N",
                           kKeywords = "k", kUid = "o", kCopies = "b", kChange = "c", kDocument = "d",
                           kDocumentContent = "D", kFact = "f", kFactExpiry = "x", kStructure = "s", kThread = "t",
                           kThreadMark = "T", kView = "v", kLostSubscription = "l";
constexpr std::size_t kPrefix = 1 + 4;  // tag and mailbox

// Rows of the whole account have INBOX's number, because that was the only mailbox once.
Encoder key_of(std::string_view tag, MailboxId mailbox = kInbox) {
    Encoder key(kPrefix + 20);
    key.raw(tag).u32_key(mailbox.value);
    return key;
}

engine::KeyRange all_of(std::string_view tag) { return engine::KeyRange::prefix(std::string(tag)); }
engine::KeyRange all_of(std::string_view tag, MailboxId mailbox) {
    return engine::KeyRange::prefix(key_of(tag, mailbox).bytes());
}

std::uint64_t number_in(std::string_view key) {
    Decoder in(key);
    in.raw(kPrefix);
    return in.u64_key();
}

}  // namespace

std::string account() { return mailbox(kInbox); }
std::string mailbox(MailboxId mailbox) { return key_of(kMailbox, mailbox).bytes(); }
std::string name(std::string_view name) { return key_of(kName).raw(name).bytes(); }
std::string lost_subscription(std::string_view name) { return key_of(kLostSubscription).raw(name).bytes(); }
std::string keywords(MailboxId mailbox) { return key_of(kKeywords, mailbox).bytes(); }
std::string message(MailboxId mailbox, OrderKey order) {
    return key_of(kMessage, mailbox).u64_key(order.value).bytes();
}
std::string uid(MailboxId mailbox, Uid uid) { return key_of(kUid, mailbox).u64_key(uid.value).bytes(); }
std::string retained(Timestamp expires, MailboxId mailbox, OrderKey order) {
    auto key = key_of(kRetained);
    key.u64_key(millis(expires)).u64_key(order.value);
    if (mailbox != kInbox) key.u32_key(mailbox.value);
    return std::move(key).bytes();
}
std::string unique_id(std::string_view unique_id) { return key_of(kUniqueId).raw(unique_id).bytes(); }
std::string copies(engine::BodyId body) { return key_of(kCopies).u64_key(body.value).bytes(); }
std::string view(MailboxView view) { return key_of(kView, view.mailbox).u32_key(view.view.value).bytes(); }
std::string structure(engine::BodyId body) { return key_of(kStructure).u64_key(body.value).bytes(); }
std::string thread(engine::BodyId body) { return key_of(kThread).u64_key(body.value).bytes(); }
std::string thread_mark(std::string_view mark) { return key_of(kThreadMark).raw(mark).bytes(); }
std::string change(engine::ChangeNumber number) { return key_of(kChange).u64_key(number.value).bytes(); }

std::string document(std::string_view name) { return key_of(kDocument).raw(name).bytes(); }
std::string document_content(std::string_view name) { return key_of(kDocumentContent).raw(name).bytes(); }
std::string fact(std::string_view name) { return key_of(kFact).raw(name).bytes(); }
std::string fact_expiry(Timestamp expires, std::string_view name) {
    return key_of(kFactExpiry).u64_key(millis(expires)).raw(name).bytes();
}

MailboxId mailbox_of(std::string_view key) {
    Decoder in(key);
    in.raw(1);
    return MailboxId(in.u32_key());
}
Timestamp expiry_of(std::string_view retained_key) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(number_in(retained_key))));
}
engine::ChangeNumber change_of(std::string_view change_key) { return engine::ChangeNumber(number_in(change_key)); }
std::string_view name_of(std::string_view name_key) { return name_key.substr(std::min(name_key.size(), kPrefix)); }
std::string fact_of(std::string_view fact_expiry_key) {
    return std::string(fact_expiry_key.substr(std::min(fact_expiry_key.size(), kPrefix + 8)));
}
engine::BodyId body_of(std::string_view copies_key) { return engine::BodyId(number_in(copies_key)); }
OrderKey order_of(std::string_view message_key) { return OrderKey(number_in(message_key)); }
Uid uid_of(std::string_view uid_key) { return Uid(number_in(uid_key)); }

MailboxView view_of(std::string_view view_key) {
    Decoder in(view_key);
    in.raw(kPrefix);
    return {ViewId(in.u32_key()), mailbox_of(view_key)};
}

engine::KeyRange mailboxes() { return {mailbox(MailboxId(kInbox.value + 1)), all_of(kMailbox).end}; }
engine::KeyRange names() { return all_of(kName); }
engine::KeyRange names_below(std::string_view above) {
    return engine::KeyRange::prefix(key_of(kName).raw(above).raw("/").bytes());
}
engine::KeyRange lost_subscriptions() { return all_of(kLostSubscription); }
engine::KeyRange keyword_tables() { return all_of(kKeywords); }
engine::KeyRange messages() { return all_of(kMessage); }
engine::KeyRange messages(MailboxId mailbox) { return all_of(kMessage, mailbox); }
engine::KeyRange messages(MailboxId mailbox, OrderKey first) {
    return {message(mailbox, first), messages(mailbox).end};
}
engine::KeyRange uids() { return all_of(kUid); }
engine::KeyRange uids(MailboxId mailbox) { return all_of(kUid, mailbox); }
engine::KeyRange retained() { return all_of(kRetained); }
engine::KeyRange retained_until(Timestamp last) {
    return {retained().begin, retained(last + std::chrono::milliseconds(1), kInbox, OrderKey(0))};
}
engine::KeyRange unique_ids() { return all_of(kUniqueId); }
engine::KeyRange copies() { return all_of(kCopies); }
engine::KeyRange changes() { return all_of(kChange); }
engine::KeyRange views() { return all_of(kView); }
engine::KeyRange structures() { return all_of(kStructure); }
engine::KeyRange threads() { return all_of(kThread); }
engine::KeyRange thread_marks() { return all_of(kThreadMark); }
engine::KeyRange documents() { return all_of(kDocument); }
engine::KeyRange document_contents() { return all_of(kDocumentContent); }
engine::KeyRange facts() { return all_of(kFact); }
engine::KeyRange fact_expiries() { return all_of(kFactExpiry); }
engine::KeyRange facts_until(Timestamp last) {
    return {fact_expiries().begin, fact_expiry(last + std::chrono::milliseconds(1), "")};
}
engine::KeyRange changes_behind(engine::ChangeNumber last) {
    return {change(engine::ChangeNumber(last.value + 1)), changes().end};
}

}  // namespace poplar::mailstore::keys
