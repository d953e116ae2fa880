// A backup's MANIFEST from any octets: what is believed is written the same way again, and leads nowhere else.
#include "base/digest.h"
#include "engine/local/backup_manifest.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::engine::local;
    std::string text(reinterpret_cast<const char*>(data), size);
    // The digest at the end keeps nearly all inputs out, so one that fits is put there, too.
    poplar::Digest digest;
    digest.add(text);
    for (const auto& one : {text, text + "check " + digest.finish() + "\n"}) {
        auto manifest = parse_manifest(one);
        if (!manifest) continue;
        for (const auto& file : manifest->files) {
            CHECK(!file.path.starts_with('/') && !("/" + file.path + "/").contains("/../"));
            CHECK(manifest->find(file.path) == &file);
        }
        auto again = parse_manifest(encode_manifest(*manifest));
        CHECK(again && again->files == manifest->files && again->taken == manifest->taken);
    }
    return 0;
}
