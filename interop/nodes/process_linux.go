package nodes

import "syscall"

// endWithParent has the kernel end the program when the test process dies
// without cleaning up, as it does at the timeout of go test.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
