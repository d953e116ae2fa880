#include "directory/outside/pam_talk.h"

#include "base/encoding.h"

namespace poplar::directory::outside {

std::string encode(const PamQuestion& question) {
    Encoder out;
    out.u32(question.number).u32(question.millis).string(question.service).string(question.user);
    return out.string(question.peer).string(question.password).bytes();
}

std::string encode(const PamAnswer& answer) {
    Encoder out;
    return out.u32(answer.number).u8(static_cast<std::uint8_t>(answer.verdict)).string(answer.why).bytes();
}

Result<PamQuestion> decode_pam_question(std::string_view packet) {
    Decoder in(packet);
    PamQuestion question;
    question.number = in.u32();
    question.millis = in.u32();
    question.service = in.string();
    question.user = in.string();
    question.peer = in.string();
    question.password = in.string();
    if (!in.ok() || !in.at_end()) return fail(Errc::invalid, "PAM: a malformed question");
    return question;
}

Result<PamAnswer> decode_pam_answer(std::string_view packet) {
    Decoder in(packet);
    PamAnswer answer;
    answer.number = in.u32();
    const auto verdict = in.u8();
    answer.why = in.string();
    if (!in.ok() || !in.at_end() || verdict < 1 || verdict > static_cast<std::uint8_t>(PamAnswer::Verdict::unusable))
        return fail(Errc::invalid, "PAM: a malformed answer");
    answer.verdict = static_cast<PamAnswer::Verdict>(verdict);
    return answer;
}

}  // namespace poplar::directory::outside
