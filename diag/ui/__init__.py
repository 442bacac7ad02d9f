"""What people see: routes, navigation, the picked case, links, job progress, charts. Never imports torch."""
