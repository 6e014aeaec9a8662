package nat

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"
)

// Service types of Internet gateways, the better first.
const (
	ipConnection2  = "urn:schemas-upnp-org:service:WANIPConnection:2"
	ipConnection1  = "urn:schemas-upnp-org:service:WANIPConnection:1"
	pppConnection1 = "urn:schemas-upnp-org:service:WANPPPConnection:1"
	firewall1      = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"
)

// Error codes of WANIPConnection:2 section 2.5 and WANIPv6FirewallControl:1
// section 2.5.
const (
	upnpNoSuchPinhole       = 704
	upnpNoSuchEntry         = 714
	upnpConflict            = 718
	upnpSamePortRequired    = 724
	upnpOnlyPermanentLeases = 725
	upnpConflictElsewhere   = 729
)

// maxAnswer bounds what a gateway answers: its description, or the outcome of an
// action.
const maxAnswer = 256 << 10

// An igd is one service of a gateway, spoken to by SOAP over HTTP.
type igd struct {
	service string // its type
	client  *soap.SOAPClient
	gateway netip.Addr
}

// call performs an action. In and out are pointers to structs of strings, or nil.
func (d *igd) call(ctx context.Context, action string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if err := d.client.PerformActionCtx(ctx, d.service, action, in, out); err != nil {
		return fmt.Errorf("nat: upnp: %s at %v: %w", action, d.gateway, readable(err))
	}
	return nil
}

// A upnpError is an error that a gateway tells.
type upnpError struct {
	code int
	text string
}

func (e *upnpError) Error() string {
	return fmt.Sprintf("the gateway answers with error %d %q", e.code, e.text)
}

// readable makes a upnpError of the error of an action, if the gateway told it.
func readable(err error) error {
	fault, ok := errors.AsType[*soap.SOAPFaultError](err)
	if !ok {
		return err
	}
	text := fault.Detail.UPnPError.ErrorDescription
	if len(text) > 100 {
		text = text[:100]
	}
	return &upnpError{code: fault.Detail.UPnPError.Errorcode, text: text}
}

// code returns the error code that a gateway told, or 0.
func code(err error) int {
	if e, ok := errors.AsType[*upnpError](err); ok {
		return e.code
	}
	return 0
}

// findServices searches for the default gateway and returns those of its services
// that are of the given types, in that order.
func findServices(ctx context.Context, n Network, gateway netip.Addr, types ...string) (services []*igd, err error) {
	own, err := n.Source(gateway)
	if err != nil {
		return nil, fmt.Errorf("nat: upnp: %w", err)
	}
	client := gatewayClient(n, gateway, own, gateway)
	found := fmt.Errorf("nat: upnp: search for %v: %w", gateway, errSilent)
	err = search(ctx, n, gateway, func(location *url.URL) bool {
		var root *goupnp.RootDevice
		if root, found = describe(ctx, client, location); found != nil {
			return false
		}
		for _, typ := range types {
			for _, s := range root.Device.FindService(typ) {
				if !s.ControlURL.Ok {
					continue
				}
				soapClient := soap.NewSOAPClient(s.ControlURL.URL)
				soapClient.HTTPClient = *client
				services = append(services, &igd{service: typ, client: soapClient, gateway: gateway})
			}
		}
		if len(services) == 0 {
			found = fmt.Errorf("nat: upnp: the gateway %v offers none of the services that are needed", gateway)
		}
		return len(services) > 0
	})
	switch {
	case len(services) > 0:
		return services, nil
	case err == nil || errors.Is(err, errSilent):
		return nil, found
	}
	return nil, fmt.Errorf("nat: upnp: search for %v: %w", gateway, err)
}

// describe fetches the description of a gateway.
func describe(ctx context.Context, client *http.Client, location *url.URL) (*goupnp.RootDevice, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("nat: upnp: fetch the description: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("nat: upnp: fetch the description at %v: %s", location, response.Status)
	}
	root := new(goupnp.RootDevice)
	decoder := xml.NewDecoder(response.Body)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := decoder.Decode(root); err != nil {
		return nil, fmt.Errorf("nat: upnp: read the description at %v: %w", location, err)
	}
	base := location
	if root.URLBaseStr != "" {
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, fmt.Errorf("nat: upnp: read the description at %v: %w", location, err)
		}
	}
	root.SetURLBase(base)
	return root, nil
}

// gatewayClient returns an HTTP client that speaks with the gateway and nobody
// else, follows no redirect and reads at most maxAnswer. It connects from an own
// address to the gateway's that is given as to, whatever the URL says.
func gatewayClient(n Network, gateway, own, to netip.Addr) *http.Client {
	return &http.Client{
		Transport: &onlyGateway{gateway: gateway, inner: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				_, text, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				port, err := strconv.ParseUint(text, 10, 16)
				if err != nil {
					return nil, err
				}
				return n.DialFrom(ctx, own, netip.AddrPortFrom(to, uint16(port)))
			},
			DisableKeepAlives:      true, // old gateways mistake a second request
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("nat: upnp: the gateway redirects, which is not followed")
		},
	}
}

type onlyGateway struct {
	gateway netip.Addr
	inner   *http.Transport
}

// RoundTrip implements [http.RoundTripper]. Every URL that a gateway tells comes
// through here: of its description, of the control, of a redirect.
func (t *onlyGateway) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkURL(r.URL, t.gateway); err != nil {
		return nil, err
	}
	response, err := t.inner.RoundTrip(r)
	if err == nil {
		response.Body = &limitedBody{ReadCloser: response.Body, left: maxAnswer}
	}
	return response, err
}

// A limitedBody fails, rather than ends, at its limit.
type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func decimal(n uint16) string { return strconv.Itoa(int(n)) }
