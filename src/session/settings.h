#pragma once
// The keys of the configuration that are this folder's.

namespace poplar::config {
class Keys;
}

namespace poplar::session {

enum class AllowPlaintext;

void add_settings(config::Keys& keys, AllowPlaintext& value);

}  // namespace poplar::session
