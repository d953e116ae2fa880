#include "outbound/conversion.h"

#include "mail/wire_form.h"
#include "screening/signing.h"

namespace poplar::outbound {

namespace {

/// The message that leaves, block by block: read, unstuffed, written anew, stuffed.
class Converter {
public:
    explicit Converter(const mail::SevenBitPlan& plan) : writer_(plan, plain_) {}
    /// What comes of the next block; none is known any more after "".
    std::string_view pass(std::string_view wire) {
        in_.clear(), plain_.clear(), out_.clear();
        decoder_.decode(wire, in_);
        if (wire.empty())
            writer_.finish();
        else
            writer_.feed(in_);
        encoder_.encode(plain_, out_);
        if (wire.empty()) encoder_.finish(out_);
        return out_;
    }
    bool signed_before() const { return writer_.left_signatures_out(); }
    std::uint64_t octets() const { return encoder_.sizes().octets; }

private:
    std::string in_, plain_, out_;
    mail::WireDecoder decoder_;
    mail::SevenBitWriter writer_;
    mail::WireEncoder encoder_{mail::BareNewlines::normalize};
};

class ConvertedBody final : public smtp::client::Body {
public:
    ConvertedBody(std::unique_ptr<engine::BodyReader> reader, std::shared_ptr<const Conversion> conversion)
        : reader_(std::move(reader)), conversion_(std::move(conversion)), converter_(conversion_->plan) {}

    Task<Result<std::string_view>> next() override {
        if (!begun_ && !conversion_->signatures.empty()) {
            begun_ = true;
            co_return std::string_view(conversion_->signatures);
        }
        begun_ = true;
        while (!ended_) {
            auto block = co_await reader_->next();
            if (!block) co_return pass_on(block);
            ended_ = block->empty();
            if (const auto out = converter_.pass(*block); !out.empty()) co_return out;
        }
        co_return std::string_view();
    }

private:
    std::unique_ptr<engine::BodyReader> reader_;
    const std::shared_ptr<const Conversion> conversion_;
    Converter converter_;
    bool begun_ = false, ended_ = false;
};

}  // namespace

Task<Result<Conversion>> convert(queue::Queue& queue, queue::Message message, const screening::KeyRing* keys,
                                 Timestamp now) {
    Conversion conversion;
    mail::SevenBitPlanner planner;
    mail::WireDecoder decoder;
    auto reader = co_await queue.open(message);
    if (!reader) co_return pass_on(reader);
    for (std::string plain;;) {
        auto block = co_await (*reader)->next();
        if (!block) co_return pass_on(block);
        if (block->empty()) break;
        plain.clear();
        decoder.decode(*block, plain);
        planner.feed(plain);
    }
    conversion.plan = planner.finish();
    if (!conversion.plan.obstacle.empty()) co_return conversion;
    auto again = co_await queue.open(message);
    if (!again) co_return pass_on(again);
    Converter converter(conversion.plan);
    std::unique_ptr<screening::MessageSigner> signer;
    if (keys && !keys->empty()) signer = std::make_unique<screening::MessageSigner>(*keys, now);
    for (bool ended = false; !ended;) {
        auto block = co_await (*again)->next();
        if (!block) co_return pass_on(block);
        ended = block->empty();
        const auto out = converter.pass(*block);
        if (signer) signer->feed(out);
    }
    if (signer) signer->finish();
    if (signer && converter.signed_before()) conversion.signatures = signer->fields("");
    conversion.octets = conversion.signatures.size() + converter.octets();
    co_return conversion;
}

std::unique_ptr<smtp::client::Body> converted_body(std::unique_ptr<engine::BodyReader> reader,
                                                   std::shared_ptr<const Conversion> conversion) {
    return std::make_unique<ConvertedBody>(std::move(reader), std::move(conversion));
}

}  // namespace poplar::outbound
