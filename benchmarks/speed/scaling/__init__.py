"""What a step costs as its sizes grow; its contender is that of `training_step`."""
