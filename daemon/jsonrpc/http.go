package jsonrpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"time"
)

// HTTPOptions say who may use the HTTP face, and for what.
type HTTPOptions struct {
	// Namespaces that may be called; rpc_modules always may.
	Namespaces []string

	// Hosts are the names that a request's Host header may carry, without port:
	// the defence against a web page whose name is made to resolve to us. The
	// address that the client connected to is always accepted as a Host, any
	// other address only if it is listed. "*" accepts every Host but an empty one.
	Hosts []string

	// Origins are the web origins that may call, such as "https://example.org". A
	// request without an Origin header does not come from a web page. "*"
	// accepts every origin but "null", which must be listed by name.
	Origins []string

	// Token is what a client must send as "Authorization: Bearer TOKEN". Empty
	// means that nobody is asked for one.
	Token string
}

// NewHTTPServer returns the HTTP face of s: POST / with a request or a batch as
// application/json. Its Serve limits the connections to MaxConns.
func (s *Server) NewHTTPServer(o HTTPOptions) *HTTPServer {
	namespaces := make(map[string]bool)
	for _, namespace := range o.Namespaces {
		namespaces[namespace] = true
	}
	h := &httpHandler{guard: newGuard(o), client: &session{server: s, namespaces: namespaces}}
	return &HTTPServer{http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what strangers cause
	}}
}

// An HTTPServer serves HTTP clients.
type HTTPServer struct{ server http.Server }

// Serve accepts clients on l until ctx ends, then closes l and every connection.
func (h *HTTPServer) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { h.server.Close() })
	defer stop()
	err := h.server.Serve(newLimitListener(l))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("jsonrpc: http: %w", err)
}

// An httpHandler answers POST requests that its guard lets through.
type httpHandler struct {
	guard  *guard
	client *session
}

func (h *httpHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The deadline is for the whole request, so a body cannot be dripped.
	deadline, now := http.NewResponseController(w), time.Now()
	if err := errors.Join(deadline.SetReadDeadline(now.Add(CallTimeout)), deadline.SetWriteDeadline(now.Add(CallTimeout+WriteTimeout))); err != nil {
		return // the connection is gone
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if refused := h.guard.check(w, r); refused != nil {
		refused.write(w)
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if refused := checkForm(w, r); refused != nil {
		refused.write(w)
		return
	}
	raw, err := readBody(r.Body)
	if err != nil {
		// What is left of the body is not worth reading.
		w.Header().Set("Connection", "close")
		status, e := bodyStatus(err)
		writeJSON(w, status, appendAnswer(nil, null, nil, e))
		return
	}
	reply, whole := h.client.answer(r.Context(), raw)
	status := http.StatusOK
	if !whole {
		status = http.StatusBadRequest
	}
	writeJSON(w, status, reply)
}

// checkForm checks method, path, type and length: what can be said without
// reading the body.
func checkForm(w http.ResponseWriter, r *http.Request) *refused {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.Path != "/":
		return &refused{http.StatusNotFound, "not found: calls go to /"}
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		return &refused{http.StatusMethodNotAllowed, "method not allowed: POST a JSON-RPC request"}
	case err != nil || mediaType != "application/json":
		// A form or text/plain can be sent across origins without a preflight.
		return &refused{http.StatusUnsupportedMediaType, "unsupported media type: send Content-Type: application/json"}
	case r.Header.Get("Content-Encoding") != "":
		return &refused{http.StatusUnsupportedMediaType, "unsupported encoding: send the body as it is"}
	case r.ContentLength > MaxBody:
		w.Header().Set("Connection", "close")
		return &refused{http.StatusRequestEntityTooLarge, "request is larger than 5 MiB"}
	}
	return nil
}

// readBody reads the one value of a body.
func readBody(body io.Reader) ([]byte, error) {
	r := bufio.NewReader(body)
	raw, err := readValue(r)
	if err != nil {
		return nil, err
	}
	// White space may follow, but not without end.
	for range MaxBody - len(raw) {
		switch c, err := r.ReadByte(); {
		case err == io.EOF:
			return raw, nil
		case err != nil:
			return nil, err
		case !isSpace(c):
			return nil, errTrailing
		}
	}
	return nil, errTooLarge
}

var errTrailing = errors.New("jsonrpc: more after the end of the request")

// bodyStatus returns the status and the answer for a body that could not be read.
func bodyStatus(err error) (int, *Error) {
	switch {
	case err == errTooLarge:
		return http.StatusRequestEntityTooLarge, refusal(err)
	case err == errTooMany || err == errTooDeep || err == errNoObject || err == io.ErrUnexpectedEOF:
		return http.StatusBadRequest, refusal(err)
	case err == errTrailing || err == io.EOF:
		return http.StatusBadRequest, &Error{CodeParse, "parse error: not exactly one request"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, &Error{CodeParse, "the request took longer than 30 seconds to arrive"}
	}
	return http.StatusBadRequest, &Error{CodeParse, "parse error: the request did not arrive"}
}

func writeJSON(w http.ResponseWriter, status int, text []byte) {
	if len(text) > 0 {
		text = append(text, '\n')
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}

// A refused request is answered in plain words: whoever reads them is a person
// setting something up.
type refused struct {
	status int
	text   string
}

func (e *refused) write(w http.ResponseWriter) { http.Error(w, e.text, e.status) }
