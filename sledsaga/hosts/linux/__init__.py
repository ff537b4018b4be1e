"""What only Linux has: disks by a document, zones as OCI containers, links by iproute2."""
