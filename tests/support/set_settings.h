#pragma once
// Gives an account settings of its own.
#include <optional>
#include <string>
#include <utility>

#include "directory/directory.h"

namespace poplar::test {

/// Replaces all settings of the account. Errors: those of Directory::change_settings.
inline Task<Result<directory::Account>> set_settings(directory::Directory& directory, std::string address,
                                                     directory::AccountSettings settings) {
    auto replace = [settings = std::move(settings)](directory::AccountSettings& stored,
                                                    const std::optional<directory::FactorPolicy>&) -> Result<> {
        stored = settings;
        return {};
    };
    return directory.change_settings(std::move(address), std::move(replace));
}

}  // namespace poplar::test
