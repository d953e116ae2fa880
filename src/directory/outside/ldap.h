#pragma once
// LDAP (RFC 4511) by libldap: the entry of an address is searched for; its password is checked by a bind as that entry,
// or handed out from an attribute.
#include <memory>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// `bind_password`: of settings.bind_dn. Every certificate is checked.
std::unique_ptr<Connection> make_ldap(const Settings& settings, const std::string& bind_password);

}  // namespace poplar::directory::outside
