#include "mailstore/thread_row.h"

#include <openssl/sha.h>

#include <algorithm>

#include "base/encoding.h"
#include "mail/structure.h"
#include "mail/thread.h"

namespace poplar::mailstore {

namespace {

using mail::KeptField;

constexpr std::uint8_t kVersion = 1;

ThreadMark mark_of(std::string_view id, std::string_view subject) {
    const auto text = Encoder(id.size() + subject.size() + 4).string(id).string(subject).bytes();
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    ThreadMark mark{};
    std::copy_n(digest.begin(), mark.size(), mark.begin());
    return mark;
}

std::string_view text_of(const ThreadMark& mark) { return {mark.data(), mark.size()}; }

void take(Decoder& in, std::array<char, 16>& octets) {
    const auto text = in.raw(octets.size());
    if (text.size() == octets.size()) std::ranges::copy(text, octets.begin());
}

}  // namespace

ThreadId own_thread(std::string_view unique_id) { return {mark_of(unique_id, "")}; }

// References names the whole conversation; In-Reply-To stands alone in mail of some clients (RFC 5322 s3.6.4).
ThreadMarks thread_marks(const mail::Structure& structure, std::string_view unique_id) {
    const auto& message = structure.parts.front();
    auto ids_in = [&](KeptField field, std::size_t limit) {
        return mail::message_ids(message.field(field).value_or(""), limit);
    };
    const auto subject = mail::base_subject(message.field(KeptField::subject).value_or(""));
    const auto own = ids_in(KeptField::message_id, 1);
    ThreadMarks marks;
    marks.named = !own.empty();
    marks.own = mark_of(marks.named ? own.front() : unique_id, marks.named ? subject : "");
    auto add = [&](std::string_view id) {
        const auto mark = mark_of(id, subject);
        if (mark != marks.own && std::ranges::find(marks.answers, mark) == marks.answers.end())
            marks.answers.push_back(mark);
    };
    for (auto id : ids_in(KeptField::in_reply_to, 1)) add(id);
    const auto references = ids_in(KeptField::references, kMostAnswered - 1);
    for (auto id = references.rbegin(); id != references.rend(); ++id) add(*id);
    return marks;
}

std::string encode(const ThreadRow& row) {
    Encoder out(2 + 16 * (1 + row.left.size()));
    out.u8(kVersion).raw(text_of(row.thread.octets));
    for (const auto& mark : row.left) out.raw(text_of(mark));
    return std::move(out).bytes();
}

Result<ThreadRow> decode_thread(std::string_view value) {
    Decoder in(value);
    ThreadRow row;
    const bool known = in.u8() == kVersion;
    take(in, row.thread.octets);
    while (in.ok() && !in.at_end()) take(in, row.left.emplace_back());
    if (!known || !in.ok()) return fail(Errc::corrupt, "a message's thread can't be decoded");
    return row;
}

std::string encode(const ThreadId& thread) { return Encoder(17).u8(kVersion).raw(text_of(thread.octets)).bytes(); }

Result<ThreadId> decode_thread_id(std::string_view value) {
    auto row = decode_thread(value);
    if (!row) return pass_on(row);
    if (!row->left.empty()) return fail(Errc::corrupt, "a mark's thread can't be decoded");
    return row->thread;
}

}  // namespace poplar::mailstore
