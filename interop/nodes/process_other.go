//go:build !linux

package nodes

import "syscall"

// endWithParent has no portable form: elsewhere a program outlives a test
// process that is killed.
func endWithParent() *syscall.SysProcAttr { return nil }
