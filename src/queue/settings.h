#pragma once
// The keys of the configuration that are this folder's.

namespace poplar::config {
class Keys;
}

namespace poplar::queue {

struct Options;
struct SendingQuota;

void add_settings(config::Keys& keys, Options& options);
/// Those of [submission].
void add_settings(config::Keys& keys, SendingQuota& quota);

}  // namespace poplar::queue
