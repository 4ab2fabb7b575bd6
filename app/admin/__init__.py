"""What an operator does by command: one module for each noun, in the frame of `app.admin.command`."""
