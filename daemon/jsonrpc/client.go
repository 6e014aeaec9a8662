package jsonrpc

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// A Client calls methods over a stream, one call at a time.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	next int // id of the next call
}

// NewClient returns a Client on conn, which it owns.
func NewClient(conn net.Conn) *Client {
	return &Client{conn: conn, r: bufio.NewReader(conn)}
}

// Close hangs up.
func (c *Client) Close() error { return c.conn.Close() }

// Call calls a method and decodes its result into the value that result points
// to. An answer that is an error is returned as an *Error. After any other error
// the Client is of no use.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	if err := c.call(ctx, result, method, params); err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return err
		}
		return fmt.Errorf("jsonrpc: call %s: %w", method, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, result any, method string, params []any) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	c.conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if params == nil {
		params = []any{}
	}
	c.next++
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.next, "method": method, "params": params})
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(append(request, '\n')); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	text, err := readValue(c.r)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	var answer struct {
		ID     int             `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *Error          `json:"error"`
	}
	switch err := json.Unmarshal(text, &answer); {
	case err != nil:
		return err
	case answer.Error != nil:
		return answer.Error
	case answer.ID != c.next:
		return fmt.Errorf("answer to another call: %d, want %d", answer.ID, c.next)
	}
	return json.Unmarshal(answer.Result, result)
}
