//go:build infra

package node

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// items is how many a shard of memcached holds; -1: it does not answer.
func items(ip string) int {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(ip, strconv.Itoa(cachePort)), time.Second)
	if err != nil {
		return -1
	}
	defer c.Close()
	fmt.Fprint(c, "stats\r\n")
	for in := bufio.NewScanner(c); in.Scan() && in.Text() != "END"; {
		if n, ok := strings.CutPrefix(in.Text(), "STAT curr_items "); ok {
			got, _ := strconv.Atoi(strings.TrimSpace(n))
			return got
		}
	}
	return -1
}
