package main

import (
	"errors"
	"io"
	"os"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/spf13/cobra"
)

type authority struct{ CaID, Subject, UtcNotAfter, UtcCreate string }

func (a *app) caCommand() *cobra.Command {
	c := group("ca", "Register, list and delete certificate authorities of devices")
	c.Long = `Devices of a product with certificates (AuthType x509) log in with a TLS client certificate of the platform, or of an authority that
is registered here. To register one, prove that you have its key: let it sign a certificate whose common name is the registration code.`
	c.AddCommand(a.caCode(), a.caRegister(), a.caList(), a.caDelete())
	return c
}

func (a *app) caCode() *cobra.Command {
	return &cobra.Command{
		Use:   "code",
		Short: "Show the registration code, the common name of the verification certificate",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var body struct {
				Data struct{ RegistrationCode string }
			}
			if err := a.own("RelinkQueryRegistrationCode", nil, &body); err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) { row(w, body.Data.RegistrationCode) })
		},
	}
}

func (a *app) caRegister() *cobra.Command {
	var file, verification string
	c := &cobra.Command{
		Use:     "register",
		Short:   "Trust an authority",
		Example: `  relink ca register --file ca.pem --verification verification.pem`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cert, err1 := os.ReadFile(file)
			proof, err2 := os.ReadFile(verification)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			var body struct{ Data authority }
			err := a.own("RelinkRegisterCA", map[string]string{"Certificate": string(cert), "VerificationCertificate": string(proof)}, &body)
			if err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) {
				row(w, "CA id", body.Data.CaID)
				row(w, "subject", body.Data.Subject)
				row(w, "valid until", body.Data.UtcNotAfter)
			})
		},
	}
	c.Flags().StringVar(&file, "file", "", "the authority's certificate, PEM (required)")
	c.Flags().StringVar(&verification, "verification", "", "the verification certificate, PEM (required)")
	_ = c.MarkFlagRequired("file") // both fail only for flags that do not exist
	_ = c.MarkFlagRequired("verification")
	return c
}

func (a *app) caList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the authorities; platform is the installation's own",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var body struct{ Data []authority }
			if err := a.own("RelinkListCA", nil, &body); err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) {
				row(w, "CA ID", "SUBJECT", "VALID UNTIL")
				for _, ca := range body.Data {
					row(w, ca.CaID, ca.Subject, ca.UtcNotAfter)
				}
			})
		},
	}
}

func (a *app) caDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete CA_ID",
		Short: "End the trust in an authority: devices with its certificates are refused from their next login on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.done(cmd, "deleted", args[0], a.own("RelinkDeleteCA", map[string]string{"CaId": args[0]}, nil))
		},
	}
}

func (a *app) certificateCommand() *cobra.Command {
	c := group("certificate", "Get, bind and revoke certificates of devices")
	c.AddCommand(a.certificateGet(), a.certificateBind(), a.certificateRevoke())
	return c
}

func (a *app) certificateGet() *cobra.Command {
	var cert, key string
	c := &cobra.Command{
		Use:     "get PRODUCT_KEY DEVICE_NAME",
		Short:   "Get the certificate that the platform issues for a device, with its key",
		Example: `  relink certificate get a1B2c3D4e5F lamp-001 --cert lamp.pem --key lamp.key`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDeviceCert(&iotapi.QueryDeviceCertRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			info := resp.Body.DeviceCertInfo
			if cert != "" || key != "" {
				if cert == "" || key == "" {
					return errors.New("--cert and --key go together")
				}
				if err := errors.Join(os.WriteFile(key, []byte(str(info.PrivateKey)), 0o600), os.WriteFile(cert, []byte(str(info.Certificate)), 0o644)); err != nil {
					return err
				}
				return a.done(cmd, "written", cert, nil)
			}
			return a.print(cmd, info, func(w io.Writer) { _, _ = io.WriteString(w, str(info.Certificate)+str(info.PrivateKey)) })
		},
	}
	c.Flags().StringVar(&cert, "cert", "", "write the certificate to this file")
	c.Flags().StringVar(&key, "key", "", "write the private key to this file")
	return c
}

type bound struct{ CaID, CertSN, ProductKey, DeviceName string }

func (a *app) certificateBind() *cobra.Command {
	var file string
	var move bool
	c := &cobra.Command{
		Use:   "bind PRODUCT_KEY DEVICE_NAME",
		Short: "Bind a certificate of a registered authority to a device",
		Long: `Bind a certificate of a registered authority to a device.

One that is bound to another device is refused, unless --move takes it from that device, whose connection then ends. A revoked
certificate cannot be bound again.`,
		Example: `  relink certificate bind a1B2c3D4e5F lamp-001 --file lamp.pem
  relink certificate bind a1B2c3D4e5F lamp-002 --file lamp.pem --move`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cert, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			var body struct{ Data bound }
			params := map[string]string{"ProductKey": args[0], "DeviceName": args[1], "Certificate": string(cert)}
			if move {
				params["Move"] = "true"
			}
			if err := a.own("RelinkBindCertificate", params, &body); err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) {
				row(w, "serial number", body.Data.CertSN)
				row(w, "CA id", body.Data.CaID)
			})
		},
	}
	c.Flags().StringVar(&file, "file", "", "the certificate, PEM (required)")
	c.Flags().BoolVar(&move, "move", false, "take it from the device that it is bound to, and end that device's connection")
	_ = c.MarkFlagRequired("file") // fails only for a flag that does not exist
	return c
}

func (a *app) certificateRevoke() *cobra.Command {
	var ca string
	c := &cobra.Command{
		Use:     "revoke SERIAL_NUMBER",
		Short:   "Refuse a certificate for ever, and cut the connection of its device",
		Example: `  relink certificate revoke 1f:00:a2 --ca 0123456789abcdef0123456789abcdef`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.done(cmd, "revoked", args[0], a.own("RelinkRevokeCertificate", map[string]string{"CertSN": args[0], "CaId": ca}, nil))
		},
	}
	c.Flags().StringVar(&ca, "ca", "platform", "CA id")
	return c
}
