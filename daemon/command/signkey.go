package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"parley/daemon/datadir"
	"parley/daemon/keystore"
	"parley/enode"
)

// signingKey reads a key of either form.
func (a *app) signingKey(path, passwordFile string) (*enode.PrivateKey, error) {
	text, err := readFile(path, keystore.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !keystore.Is(text) {
		if passwordFile != "" {
			return nil, usagef("--password is for keystore files, and %s is none", path)
		}
		return datadir.ReadKey(path)
	}
	password, err := a.password(path, passwordFile)
	if err != nil {
		return nil, err
	}
	key, err := keystore.Decrypt(text, password)
	if errors.Is(err, keystore.ErrPassword) {
		return nil, fmt.Errorf("the password is not that of %s, or the file is damaged (%w)", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// maxPassword is the longest password in bytes.
const maxPassword = 1024

// password returns the first line of file, or without one what a person types.
func (a *app) password(keyFile, file string) (string, error) {
	if file == "" {
		return a.askPassword(keyFile)
	}
	text, err := readFile(file, maxPassword)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// askPassword asks at the terminal, without echo.
func (a *app) askPassword(keyFile string) (password string, err error) {
	in, ok := a.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usagef("there is no terminal to ask for the password of %s: name a file that has it with --password", keyFile)
	}
	// In raw mode an interrupt is a character, so that no signal can leave the
	// terminal without echo.
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(int(in.Fd()), before)) }()
	screen := struct {
		io.Reader
		io.Writer
	}{in, a.Stderr}
	password, err = term.NewTerminal(screen, "").ReadPassword("Password of " + printable(keyFile) + ": ")
	if err == io.EOF { // control-C or control-D
		return "", errors.New("no password was given")
	}
	return password, err
}
