// Writers and readers of content, each plain or with a codec between.
#include "mailstore/content.h"

#include "mailstore/codec.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kChunk = 64 * 1024;  // octets given out at once

class PlainWriter final : public ContentWriter {
public:
    explicit PlainWriter(std::unique_ptr<engine::BodyWriter> body) : body_(std::move(body)) {}
    std::span<char> room() override { return body_->room(); }
    Task<Result<>> write(std::string_view wire) override { return body_->write(wire); }
    Task<Result<Content>> finish(std::uint64_t octets, std::size_t recipients) override {
        auto staged = co_await body_->finish(recipients);
        if (!staged) co_return pass_on(staged);
        co_return Content{std::move(*staged), octets};
    }

private:
    std::unique_ptr<engine::BodyWriter> body_;
};

class EncodingWriter final : public ContentWriter {
public:
    EncodingWriter(std::unique_ptr<engine::BodyWriter> body, std::unique_ptr<Encoding> encoding)
        : body_(std::move(body)), encoding_(std::move(encoding)), room_(kChunk, '\0') {}
    std::span<char> room() override { return room_; }
    Task<Result<>> write(std::string_view wire) override {
        wire_octets_ += wire.size();
        encoded_.clear();
        encoding_->encode(wire, encoded_);
        co_return co_await body_->write(encoded_);
    }
    Task<Result<Content>> finish(std::uint64_t octets, std::size_t recipients) override {
        encoded_.clear();
        encoding_->finish(encoded_);
        if (auto written = co_await body_->write(encoded_); !written) co_return pass_on(written);
        auto staged = co_await body_->finish(recipients);
        if (!staged) co_return pass_on(staged);
        auto key = std::make_shared<const std::string>(encoding_->key());
        co_return Content{std::move(*staged), octets, std::move(key), wire_octets_};
    }

private:
    std::unique_ptr<engine::BodyWriter> body_;
    std::unique_ptr<Encoding> encoding_;
    std::string room_, encoded_;
    std::uint64_t wire_octets_ = 0;
};

class DecodingReader final : public engine::BodyReader {
public:
    DecodingReader(std::unique_ptr<engine::BodyReader> stored, const Codec& codec,
                   std::shared_ptr<const std::string> key, std::unique_ptr<Decoding> decoding, std::uint64_t octets)
        : stored_(std::move(stored)),
          codec_(codec),
          key_(std::move(key)),
          decoding_(std::move(decoding)),
          octets_(octets) {}

    std::uint64_t size() const override { return octets_; }

    Task<Result<std::string_view>> next() override {
        while (used_ == plain_.size()) {
            plain_.clear();
            used_ = 0;
            if (ended_) co_return std::string_view();
            auto chunk = co_await stored_->next();
            if (!chunk) co_return chunk;
            ended_ = chunk->empty();
            auto done = ended_ ? decoding_->finish() : decoding_->decode(*chunk, plain_);
            if (!done) co_return pass_on(done);
        }
        const auto chunk = std::string_view(plain_).substr(used_, kChunk);
        used_ += chunk.size();
        co_return chunk;
    }

    // Damage to what is stored is found before the first octet goes out, and so is what can't be decoded.
    Task<Result<>> verify() override {
        std::uint64_t seen = 0;
        if (auto whole = co_await begin_again(); !whole) co_return whole;
        for (;;) {
            auto chunk = co_await next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) break;
            seen += chunk->size();
        }
        if (seen != octets_) co_return fail(Errc::corrupt, "a body has not its size");
        co_return co_await begin_again();
    }

private:
    Task<Result<>> begin_again() {
        if (auto whole = co_await stored_->verify(); !whole) co_return whole;
        auto opened = codec_.open(*key_);
        if (!opened) co_return pass_on(opened);
        decoding_ = std::move(*opened);
        plain_.clear();
        used_ = 0;
        ended_ = false;
        co_return Result<>{};
    }

    std::unique_ptr<engine::BodyReader> stored_;
    const Codec& codec_;
    std::shared_ptr<const std::string> key_;
    std::unique_ptr<Decoding> decoding_;
    std::uint64_t octets_;
    std::string plain_;
    std::size_t used_ = 0;  // octets of it that were given out
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<ContentWriter> write_content(engine::Engine& engine, const Codec* codec, std::uint64_t size_hint) {
    auto body = engine.write_body(size_hint);
    if (!codec) return std::make_unique<PlainWriter>(std::move(body));
    return std::make_unique<EncodingWriter>(std::move(body), codec->begin());
}

Result<std::unique_ptr<engine::BodyReader>> decoded(std::unique_ptr<engine::BodyReader> stored, const Codec* codec,
                                                    std::shared_ptr<const std::string> key, std::uint64_t octets) {
    if (!codec) return fail(Errc::denied, "the message is encoded, and nothing here can decode it");
    auto decoding = codec->open(*key);
    if (!decoding) return pass_on(decoding);
    return std::make_unique<DecodingReader>(std::move(stored), *codec, std::move(key), std::move(*decoding), octets);
}

}  // namespace poplar::mailstore
