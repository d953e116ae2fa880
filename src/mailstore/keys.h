#pragma once
// The keys of an account's partition (storage-format.md, "Mail store"): a tag, a mailbox, and what the row is of.
#include <string>
#include <string_view>

#include "mailstore/message.h"
#include "mailstore/view.h"

namespace poplar::mailstore::keys {

std::string account();  ///< the account's record, with INBOX's in it
std::string mailbox(MailboxId mailbox);
std::string name(std::string_view name);
std::string lost_subscription(std::string_view name);
std::string keywords(MailboxId mailbox);
std::string message(MailboxId mailbox, OrderKey order);
std::string uid(MailboxId mailbox, Uid uid);
std::string retained(Timestamp expires, MailboxId mailbox, OrderKey order);
std::string unique_id(std::string_view unique_id);
std::string copies(engine::BodyId body);
std::string view(MailboxView view);
std::string structure(engine::BodyId body);
std::string thread(engine::BodyId body);
std::string thread_mark(std::string_view mark);
std::string change(engine::ChangeNumber number);
std::string document(std::string_view name);
std::string document_content(std::string_view name);
std::string fact(std::string_view name);
std::string fact_expiry(Timestamp expires, std::string_view name);

/// Read a part of a key. Each takes keys of its kind; for another the answer means nothing.
MailboxId mailbox_of(std::string_view key);
Timestamp expiry_of(std::string_view retained_key);
engine::ChangeNumber change_of(std::string_view change_key);
std::string_view name_of(std::string_view name_key);  // or of a lost subscription, a document, or a fact
std::string fact_of(std::string_view fact_expiry_key);
engine::BodyId body_of(std::string_view copies_key);  // or of a structure, or a thread
Uid uid_of(std::string_view uid_key);
OrderKey order_of(std::string_view message_key);
MailboxView view_of(std::string_view view_key);

engine::KeyRange mailboxes();                         ///< all but INBOX's
engine::KeyRange names();                             ///< all of them
engine::KeyRange names_below(std::string_view name);  ///< those that begin with it and a separator
engine::KeyRange lost_subscriptions();
engine::KeyRange keyword_tables();                             ///< of all mailboxes
engine::KeyRange messages();                                   ///< all live messages, mailbox by mailbox
engine::KeyRange messages(MailboxId mailbox);                  ///< all of one
engine::KeyRange messages(MailboxId mailbox, OrderKey first);  ///< from this one on
engine::KeyRange uids();                                       ///< all UIDs that have a row
engine::KeyRange uids(MailboxId mailbox);
engine::KeyRange retained();                      ///< all retained messages, first to expire first
engine::KeyRange retained_until(Timestamp last);  ///< those that expire at `last` or before
engine::KeyRange unique_ids();                    ///< the whole index
engine::KeyRange copies();                        ///< the counts of all bodies that have one
engine::KeyRange changes();                       ///< the whole change log
engine::KeyRange views();
engine::KeyRange structures();
engine::KeyRange threads();
engine::KeyRange thread_marks();
engine::KeyRange documents();
engine::KeyRange document_contents();
engine::KeyRange facts();
engine::KeyRange fact_expiries();
engine::KeyRange facts_until(Timestamp last);  ///< the expiries of those that expire at `last` or before
engine::KeyRange changes_behind(engine::ChangeNumber last);

}  // namespace poplar::mailstore::keys
