#pragma once
// A web service that is asked by one POST of JSON.
#include <memory>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// `{"address", "password"?, "protocol", "peer"}`; the password only if there is one to judge.
std::string http_question(const Question& question);

/// `{"exists": true, "ok": false}`. Without `with_password`, "ok" need not be there and means nothing. Other members
/// are passed over. Errors: io.
Result<Answer> parse_http_answer(std::string_view body, bool with_password);

/// Errors: invalid (the URL or ca_file).
Result<std::unique_ptr<Source>> make_http(const Settings& settings);

}  // namespace poplar::directory::outside
