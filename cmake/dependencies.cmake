# Every library Poplar stands on, all of them Debian 12 packages (scripts/packages lists them).
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(RocksDB 7.8 REQUIRED)  # Debian's is shared; scripts/build-rocksdb makes one that is not
add_library(poplar_rocksdb INTERFACE)
target_link_libraries(poplar_rocksdb INTERFACE
  $<IF:$<TARGET_EXISTS:RocksDB::rocksdb-shared>,RocksDB::rocksdb-shared,RocksDB::rocksdb>)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(tomlplusplus 3.3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal>=2.30)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium>=1.0.18)
pkg_check_modules(idn2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(gsasl REQUIRED IMPORTED_TARGET libgsasl>=2.2)
pkg_check_modules(oath REQUIRED IMPORTED_TARGET liboath>=2.6)
find_library(RE2_LIBRARY re2 REQUIRED)  # its pkg-config file asks for -pthread, which the precompiled header lacks
pkg_check_modules(qrencode REQUIRED IMPORTED_TARGET libqrencode>=4.0)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(ldap REQUIRED IMPORTED_TARGET ldap)
pkg_check_modules(postgresql REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(sqlite REQUIRED IMPORTED_TARGET sqlite3)
find_library(PAM_LIBRARY pam REQUIRED)
pkg_check_modules(unbound REQUIRED IMPORTED_TARGET libunbound>=1.17)
find_library(CRYPT_LIBRARY crypt REQUIRED)
find_library(UNISTRING_LIBRARY unistring REQUIRED)

# Boost.Asio, header-only but compiled once (src/base/asio.cc); 1.81 is the version everything is tested with.
find_package(Boost 1.81 REQUIRED)
add_library(poplar_boost INTERFACE)
target_link_libraries(poplar_boost INTERFACE Boost::headers Threads::Threads OpenSSL::SSL)
target_compile_definitions(poplar_boost INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS)
# malloc has a coroutine's frame at hand. Asio keeps two for a thread: where a session waits in ten, it looks in vain for
# one that is large enough, frees another, and gives small frames large blocks that a waiting session then holds.
target_compile_definitions(poplar_boost INTERFACE BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
