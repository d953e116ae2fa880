// Writers and readers of content, each plain or with a codec between.
#include "mailstore/content.h"

#include "encryption/stream.h"
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

/// Of an encrypted account's message, whose head is encrypted with its content.
class Unsealing final : public Decoding {
public:
    explicit Unsealing(const encryption::Secret& key) : stream_(key) {}
    Result<> decode(std::string_view stored, std::string& out) override { return stream_.push(stored, out); }
    Result<> finish(std::string& out) override { return stream_.finish(out); }

private:
    encryption::StreamOpener stream_;
};

Result<std::unique_ptr<Decoding>> begin_decoding(const Decoders& by, std::string_view key) {
    if (encryption::is_sealed_key(key)) {
        if (!by.mail_key) return fail(Errc::denied, "the mail is encrypted, and its key is not here");
        auto opened = by.mail_key->open(key);
        if (!opened) return pass_on(opened);
        return std::make_unique<Unsealing>(*opened);
    }
    if (!by.codec) return fail(Errc::denied, "the message is encoded, and nothing here can decode it");
    return by.codec->open(key);
}

/// A body of few chunks is decoded once, by verify(), and kept until it was given out.
class DecodingReader final : public engine::BodyReader {
public:
    DecodingReader(std::unique_ptr<engine::BodyReader> stored, Decoders decoders,
                   std::shared_ptr<const std::string> key, std::unique_ptr<Decoding> decoding, std::uint64_t octets)
        : stored_(std::move(stored)),
          decoders_(std::move(decoders)),
          key_(std::move(key)),
          decoding_(std::move(decoding)),
          octets_(octets) {}
    ~DecodingReader() override { wipe(); }

    std::uint64_t size() const override { return octets_; }

    Task<Result<std::string_view>> next() override {
        while (used_ == plain_.size()) {
            wipe();
            if (ended_) co_return std::string_view();
            if (auto more = co_await decode_more(); !more) co_return pass_on(more);
        }
        const auto chunk = std::string_view(plain_).substr(used_, kChunk);
        used_ += chunk.size();
        co_return chunk;
    }

    // Damage to what is stored is found before the first octet goes out, and so is what can't be decoded.
    Task<Result<>> verify() override {
        if (auto whole = co_await begin_again(); !whole) co_return whole;
        const bool kept = octets_ <= kKept;
        std::uint64_t seen = 0;
        while (!ended_) {
            if (auto more = co_await decode_more(); !more) co_return more;
            if (kept && plain_.size() <= octets_) continue;
            seen += plain_.size();
            wipe();
        }
        if (seen + plain_.size() != octets_) co_return fail(Errc::corrupt, "a body has not its size");
        if (!kept) co_return co_await begin_again();
        const auto plain = std::string_view(plain_);
        pieces_ = {plain.substr(0, kChunk), plain.substr(std::min(kChunk, plain.size()))};
        co_return Result<>{};
    }

    std::span<const std::string_view> whole() const override {
        return ended_ && used_ == 0 && plain_.size() == octets_ ? pieces_ : std::span<const std::string_view>();
    }

private:
    static constexpr std::uint64_t kKept = 2 * kChunk;

    Task<Result<>> decode_more() {
        auto chunk = co_await stored_->next();
        if (!chunk) co_return pass_on(chunk);
        ended_ = chunk->empty();
        co_return ended_ ? decoding_->finish(plain_) : decoding_->decode(*chunk, plain_);
    }

    Task<Result<>> begin_again() {
        if (auto whole = co_await stored_->verify(); !whole) co_return whole;
        auto opened = begin_decoding(decoders_, *key_);
        if (!opened) co_return pass_on(opened);
        decoding_ = std::move(*opened);
        wipe();
        ended_ = false;
        co_return Result<>{};
    }

    void wipe() {
        sodium_memzero(plain_.data(), plain_.size());
        plain_.clear();
        used_ = 0;
    }

    std::unique_ptr<engine::BodyReader> stored_;
    Decoders decoders_;
    std::shared_ptr<const std::string> key_;
    std::unique_ptr<Decoding> decoding_;
    std::uint64_t octets_;
    std::string plain_;
    std::vector<std::string_view> pieces_;  // of a plain_ that has all of it
    std::size_t used_ = 0;                  // octets of it that were given out
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<ContentWriter> write_content(engine::Engine& engine, const Codec* codec, std::uint64_t size_hint) {
    auto body = engine.write_body(size_hint);
    if (!codec) return std::make_unique<PlainWriter>(std::move(body));
    return std::make_unique<EncodingWriter>(std::move(body), codec->begin());
}

Result<std::unique_ptr<engine::BodyReader>> decoded(std::unique_ptr<engine::BodyReader> stored, Decoders decoders,
                                                    std::shared_ptr<const std::string> key, std::uint64_t octets) {
    auto decoding = begin_decoding(decoders, *key);
    if (!decoding) return pass_on(decoding);
    return std::make_unique<DecodingReader>(std::move(stored), std::move(decoders), std::move(key),
                                            std::move(*decoding), octets);
}

}  // namespace poplar::mailstore
