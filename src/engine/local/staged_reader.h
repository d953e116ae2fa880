#pragma once
// Reads a staged body back, before it is committed or after: for filters that judge a message.
#include <memory>
#include <optional>
#include <string>

#include "engine/local/file.h"
#include "engine/local/staged_body.h"

namespace poplar::engine::local {

class StagedReader final : public BodyReader {
public:
    StagedReader(std::shared_ptr<const LocalStagedBody> body, Staging& staging)
        : body_(std::move(body)), staging_(staging) {}

    std::uint64_t size() const override { return body_->size(); }
    Task<Result<std::string_view>> next() override;
    Task<Result<>> verify() override;

private:
    Result<std::string_view> next_in_memory();
    Task<Result<>> fill(std::size_t wanted);

    std::shared_ptr<const LocalStagedBody> body_;
    Staging& staging_;
    std::size_t next_frame_ = 0;  // in memory
    std::optional<File> file_;
    std::uint64_t offset_ = 0;  // of the file, up to where it is in the buffer
    std::string buffer_;
    std::size_t used_ = 0;  // octets of the buffer given out
};

}  // namespace poplar::engine::local
