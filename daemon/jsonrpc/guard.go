package jsonrpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A guard decides whose requests are looked at at all.
type guard struct {
	hosts   []string
	origins []string
	token   *[sha256.Size]byte // hash of the token; nil if none is asked for
}

func newGuard(o HTTPOptions) *guard {
	g := &guard{origins: o.Origins}
	for _, host := range o.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(host))
	}
	if o.Token != "" {
		hash := sha256.Sum256([]byte(o.Token))
		g.token = &hash
	}
	return g
}

// check returns why the request is refused, or nil. It sets the headers that
// tell a browser that its page may read the answer.
func (g *guard) check(w http.ResponseWriter, r *http.Request) *refused {
	if !g.hostAllowed(r) {
		return &refused{http.StatusForbidden, "host not allowed: list it in http.vhosts"}
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 || !g.originAllowed(origins[0]) {
			return &refused{http.StatusForbidden, "origin not allowed: list it in http.corsdomain"}
		}
		w.Header().Set("Access-Control-Allow-Origin", origins[0])
		w.Header().Add("Vary", "Origin")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "POST")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
			w.Header().Set("Access-Control-Max-Age", "600")
			return nil // a preflight carries no token
		}
	}
	if r.Method == http.MethodOptions {
		return &refused{http.StatusForbidden, "preflight without origin"}
	}
	if !g.tokenRight(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return &refused{http.StatusUnauthorized, "unauthorized: send the node's token as Authorization: Bearer"}
	}
	return nil
}

// hostAllowed compares the Host header, without its port.
func (g *guard) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "" {
		return false
	}
	if slices.Contains(g.hosts, host) || slices.Contains(g.hosts, "*") {
		return true
	}
	// A page cannot make a browser send our address as Host from an origin other
	// than ours, so the address that was connected to is as good as a listed name.
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	return err == nil && own.Addr().Unmap() == addr.Unmap()
}

func (g *guard) originAllowed(origin string) bool {
	return slices.Contains(g.origins, origin) || origin != "null" && slices.Contains(g.origins, "*")
}

// tokenRight compares hashes in constant time: how long it takes tells nothing,
// not even the token's length.
func (g *guard) tokenRight(r *http.Request) bool {
	if g.token == nil {
		return true
	}
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	hash := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(hash[:], g.token[:]) == 1
}
