#pragma once
#include "imap/client.h"

namespace poplar::imap {

/// A message that the program leaves open, and what is known of it so far. It stays where it is, because its facts
/// point into it.
struct Client::Opened {
    Opened(SearchFacts its, mailstore::StoredMessage stored, std::uint32_t at)
        : message(std::move(stored)), place(at), facts_(its) {}
    mailstore::StoredMessage message;
    std::uint32_t place;  ///< in the selected list
    std::string email_id, thread_id;
    const mail::Structure* structure = nullptr;
    std::string wire;  ///< its octets, as far as they are needed
    SearchAnswer answer;

    const SearchFacts& known() {
        facts_.record = SearchFacts::Record{
            .received = message.received, .octets = message.octets, .saved = {}, .email_id = email_id};
        facts_.thread_id = thread_id;
        facts_.structure = structure;
        return facts_;
    }
    /// How much of it is to be read for an answer.
    MessageText::Depth depth() const {
        return answer.needs == SearchCost::text ? MessageText::Depth::all : MessageText::Depth::header;
    }
    /// Answers by its texts, which were read up to this depth.
    void look_at(const SearchProgram& program, const MessageText& text, MessageText::Depth read) {
        auto facts = known();
        facts.header = &text;
        if (read == MessageText::Depth::all) facts.text = &text;
        answer = match(program, facts);
    }

private:
    SearchFacts facts_;
};

/// A search under way.
struct Client::Searching {
    SearchProgram program;
    std::vector<std::uint32_t> found;  ///< indexes, ascending
    Timestamp now{};
    bool unread = false;  ///< damage, or a disk that fails
    MessageText text;     ///< of one message after the other
};

}  // namespace poplar::imap
