#include "directory/server_records.h"

#include "directory/removed.h"

namespace poplar::directory {

namespace {
std::string key_of(std::string_view name) { return std::string("record/").append(name); }
}  // namespace

Task<Result<std::string>> ServerRecords::get(std::string name) {
    auto value = co_await engine_.get(kServerPartition, key_of(name));
    if (!value && value.error().code() == Errc::not_found) co_return std::string();
    co_return value;
}

Task<Result<>> ServerRecords::put(std::string name, std::string value) {
    engine::Batch batch;
    batch.put(key_of(name), std::move(value));
    auto done = co_await engine_.commit(kServerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return Result<>();
}

}  // namespace poplar::directory
