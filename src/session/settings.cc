#include "session/settings.h"

#include "config/keys.h"
#include "session/channel.h"

namespace poplar::session {

void add_settings(config::Keys& keys, AllowPlaintext& value) {
    keys.choice<AllowPlaintext>("auth.allow_plaintext", value,
                                config::Words<AllowPlaintext>{{"never", AllowPlaintext::never},
                                                              {"loopback", AllowPlaintext::loopback},
                                                              {"always", AllowPlaintext::always}},
                                "Passwords over connections without TLS: `never`, `loopback` (only from this machine) "
                                "or `always`. Refused: `-ERR` to `USER` and `AUTH`, which tells to use STLS.");
}

}  // namespace poplar::session
