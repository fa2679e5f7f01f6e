package subjects

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// MaxTenant is the greatest length of a tenant's name in bytes.
const MaxTenant = 24

const (
	tenantForm = "t--" // a tenant, two hyphens, and its session's id
	tenantEnd  = "--"
)

// CheckTenant returns nil for a name that a tenant may have: 1 to [MaxTenant] lower-case letters, digits and single
// hyphens, with a letter or digit at both ends. Other errors wrap [ErrInvalid].
func CheckTenant(tenant string) error {
	if !validApp(tenant) || len(tenant) > MaxTenant || strings.Contains("-"+tenant+"-", tenantEnd) {
		return fmt.Errorf("tenant %s: use 1 to %d lower-case letters, digits and single hyphens between them: %w",
			quote(tenant), MaxTenant, ErrInvalid)
	}

	return nil
}

// TenantSession returns the id by which a tenant's session is known on the bus: "t--<tenant>--<session>", so that no
// two tenants meet, whatever they call their sessions; without a tenant it is the session's own id. A session's id that
// is too long for that is hashed, and then [SplitTenant] returns another name for it, which means the same session.
func TenantSession(tenant, session string) (string, error) {
	if err := CheckID("session", session); err != nil || tenant == "" {
		return session, err
	}
	if err := CheckTenant(tenant); err != nil {
		return "", err
	}
	id := tenantForm + tenant + tenantEnd + session
	if len(id) > MaxID {
		sum := sha256.Sum256([]byte(session))
		id = tenantForm + tenant + tenantEnd + hashedForm + base64.RawURLEncoding.EncodeToString(sum[:derivedBytes])
	}

	return id, nil
}

// SplitTenant returns the tenant that a session's id on the bus names and the tenant's own name for the session; for
// any other id no tenant and the id itself.
func SplitTenant(id string) (tenant, session string) {
	rest, ok := strings.CutPrefix(id, tenantForm)
	if !ok {
		return "", id
	}
	tenant, session, ok = strings.Cut(rest, tenantEnd)
	if !ok || CheckTenant(tenant) != nil || !ValidID(session) {
		return "", id
	}

	return tenant, session
}
