package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// child is this program again, as one of its roles; lines go to it and JSON
// comes back.
type child struct {
	name    string
	cmd     *exec.Cmd
	to      io.WriteCloser
	answers *bufio.Scanner
}

// begin starts a role and waits for its first line, which hello takes. Main
// thread only: the child ends with the thread that started it.
func begin(hello any, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: args[0], cmd: exec.Command(self, args...)}
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.to, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	from, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.answers = bufio.NewScanner(from)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, c.read(hello)
}

// ask sends a command and reads its answer.
func (c *child) ask(answer any, command string) error {
	if _, err := io.WriteString(c.to, command+"\n"); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return c.read(answer)
}

func (c *child) read(answer any) error {
	if !c.answers.Scan() {
		return fmt.Errorf("%s ended: %w", c.name, c.cmd.Wait())
	}
	return json.Unmarshal(c.answers.Bytes(), answer)
}

// kill ends it as a crash would.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// crowd starts count sidecars over processes of at most perProcess.
func crowd(address string, count int) (all []*child, err error) {
	for from := 0; from < count; from += perProcess {
		var hello string
		c, err := begin(&hello, "simulate", address, strconv.Itoa(from), strconv.Itoa(min(perProcess, count-from)))
		if err != nil {
			disperse(all)
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// perProcess keeps each process well below the limit of open files.
const perProcess = 2500

func disperse(all []*child) {
	for _, c := range all {
		c.kill()
	}
}
