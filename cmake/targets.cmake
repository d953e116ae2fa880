# Options common to every target.
add_library(poplar_flags INTERFACE)
target_include_directories(poplar_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(poplar_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough
  $<$<BOOL:${POPLAR_WERROR}>:-Werror> $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(poplar_flags INTERFACE -march=x86-64-v2)   # SSE4.2: any processor since 2009
endif()
if(POPLAR_SANITIZE)
  # Without vptr: that check opens a pipe to look at memory, and takes a lack of descriptors for a wrong object.
  add_compile_options(-fsanitize=${POPLAR_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${POPLAR_SANITIZE})
endif()
if(POPLAR_PROFILE STREQUAL "make")
  add_compile_options(-fprofile-generate -fprofile-update=atomic)
  add_link_options(-fprofile-generate)
elseif(POPLAR_PROFILE)
  add_compile_options(-fprofile-use=${POPLAR_PROFILE} -Wno-profile-instr-unprofiled -flto=thin)
  add_link_options(-flto=thin)
endif()
if(POPLAR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
endif()

# poplar_library(NAME [SOURCES files...] [LINK libraries...]): a folder's library; without SOURCES, every .cc of the
# folder. All share one precompiled header (src/precompiled.h).
function(poplar_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS *.cc)
  endif()
  add_library(poplar_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(poplar_${name} PUBLIC poplar_flags poplar_boost fmt::fmt ${ARG_LINK})
  if(name STREQUAL "base")
    target_precompile_headers(poplar_base PRIVATE <precompiled.h>)
  else()
    target_precompile_headers(poplar_${name} REUSE_FROM poplar_base)
  endif()
endfunction()

# poplar_test(NAME [LINK libraries...]): one GoogleTest program of the folder, each test known to CTest.
function(poplar_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  add_executable(${name}_test ${sources})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})   # "tests/support/..."
  target_link_libraries(${name}_test PRIVATE ${ARG_LINK} GTest::gtest_main)
  target_precompile_headers(${name}_test REUSE_FROM poplar_base)
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 1200)
endfunction()
