#pragma once
// For commands that open the store's files themselves.
#include <optional>
#include <string>

#include "engine/engine.h"
#include "server/config.h"

namespace poplar::server {

/// The configuration, or nothing: then it has said why.
std::optional<Config> load_or_complain(const std::string& file);

/// Goes on as the owner of the data directory. Files of root's would lock the server out, and root must not follow a
/// link that the owner has put there.
Result<> become_owner(const Config& config);

/// Counts every account's messages anew, with new UIDVALIDITYs and a new generation of unique-ids (MailStore::repair).
/// Returns how many accounts did not fit.
Result<std::uint64_t> repair_all(engine::Engine& engine, const Config& config);

/// Says what is wrong with the store, and with the rights of its files; returns 1.
int complain_of_store(const Config& config, const Error& error);

}  // namespace poplar::server
