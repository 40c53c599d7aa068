// Pulls an image as podman, CRI-O, buildah and skopeo do, by the library that they share, under a policy.json and a
// registries.d of the caller's: what `lockgate policy snippet containers` prints is tried with it (tests/access).
//
//	containers-pull POLICY REGISTRIES_D CERTS_D USER:PASSWORD docker://HOST/REPO:TAG dir:TARGET
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/directory"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

func pull(arguments []string) error {
	if len(arguments) != 6 {
		return fmt.Errorf("give POLICY REGISTRIES_D CERTS_D USER:PASSWORD docker://REF dir:TARGET")
	}
	policy, err := signature.NewPolicyFromFile(arguments[0])
	if err != nil {
		return err
	}
	holds, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer holds.Destroy()
	empty, err := os.MkdirTemp("", "containers-pull")
	if err != nil {
		return err
	}
	defer os.Remove(empty)
	user, password, _ := strings.Cut(arguments[3], ":")
	system := &types.SystemContext{
		RegistriesDirPath:           arguments[1],
		DockerCertPath:              arguments[2],
		DockerAuthConfig:            &types.DockerAuthConfig{Username: user, Password: password},
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: empty,
	}
	source, err := docker.ParseReference(strings.TrimPrefix(arguments[4], "docker:"))
	if err != nil {
		return err
	}
	target, err := directory.NewReference(strings.TrimPrefix(arguments[5], "dir:"))
	if err != nil {
		return err
	}
	_, err = copy.Image(context.Background(), holds, target, source, &copy.Options{SourceCtx: system})
	return err
}

func main() {
	if err := pull(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
